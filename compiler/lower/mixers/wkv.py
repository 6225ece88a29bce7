"""RWKV-4 time mixing: k, v, r from the token and its predecessor; o(sigmoid(r)·wkv(k, v))."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    previous = s.b.node("shift", h, at=f"{at}.previous")
    k, v, r = (
        linear(s, mix(s, h, previous, role, home, at), op.d_inner, f"{home}.{role}", f"{at}.{role}", False)
        for role in "kvr"
    )
    params = {"decay": f"{home}.decay", "first": f"{home}.first"}
    y = s.b.node("wkv", k, v, at=f"{at}.core", params=params, kind="scan", at_least=s.at_least["scan"])
    y = s.b.node("mul", y, activation(s, "sigmoid", r, f"{at}.r.act"), at=f"{at}.gated")
    return linear(s, y, s.d_model, f"{home}.o", f"{at}.o", False)


def mix(s: Scope, h: str, previous: str, role: str, home: str, at: str) -> str:
    """The token mixed with its predecessor, for one projection."""
    return s.b.node("lerp", h, previous, at=f"{at}.{role}.mix", params={"mix": f"{home}.mix_{role}"}, kind="norm")
