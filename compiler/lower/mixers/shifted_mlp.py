"""RWKV-4 channel mixing: sigmoid(r)·down(act(up)), both from the token mixed with its predecessor."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear
from compiler.ops.wkv.lower import before, mix


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    previous = before(s, h, at)
    up = linear(s, mix(s, h, previous, "up", home, at), op.d_ff, f"{home}.up", f"{at}.up", False)
    gate = linear(s, mix(s, h, previous, "gate", home, at), s.d_model, f"{home}.gate", f"{at}.gate", False)
    down = linear(s, activation(s, op.activation, up, f"{at}.act"), s.d_model, f"{home}.down", f"{at}.down", False)
    return s.b.node("mul", down, activation(s, "sigmoid", gate, f"{at}.gate.act"), at=f"{at}.gated")
