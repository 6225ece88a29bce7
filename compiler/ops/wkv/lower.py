"""RWKV-4 time mixing: k, v, r from the token and its predecessor; o(sigmoid(r)·wkv(k, v))."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear

NOTHING = -6e4  # its exponential is zero in every type, and every type holds it


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    previous = before(s, h, at)
    k, v, r = (
        linear(s, mix(s, h, previous, role, home, at), op.d_inner, f"{home}.{role}", f"{at}.{role}", False)
        for role in "kvr"
    )
    k = s.b.node("mask_rows", k, s.capture("attention_mask"), at=f"{at}.k.kept", fill=NOTHING)
    params = {"decay": f"{home}.decay", "first": f"{home}.first"}
    y = s.b.node("wkv", k, v, at=f"{at}.core", params=params, kind="scan", at_least=s.at_least["scan"])
    y = s.b.node("mul", y, activation(s, "sigmoid", r, f"{at}.r.act"), at=f"{at}.gated")
    return linear(s, y, s.d_model, f"{home}.o", f"{at}.o", False)


def before(s: Scope, h: str, at: str) -> str:
    """The token before each one; padding counts as zero, as what stands before the first token does."""
    kept = s.b.node("mask_rows", h, s.capture("attention_mask"), at=f"{at}.kept")
    return s.b.node("shift", kept, at=f"{at}.previous")


def mix(s: Scope, h: str, previous: str, role: str, home: str, at: str) -> str:
    """The token mixed with its predecessor, for one projection."""
    return s.b.node("lerp", h, previous, at=f"{at}.{role}.mix", params={"mix": f"{home}.mix_{role}"}, kind="norm")
