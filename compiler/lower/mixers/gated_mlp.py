"""down(inner_norm(act(gate·x) ⊙ (up·x + up_offset))), both factors clamped (GLU variants, arXiv 2002.05202)."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear, norm


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    gate = linear(s, h, op.d_ff, f"{home}.gate", f"{at}.gate", "gate" in op.bias)
    up = linear(s, h, op.d_ff, f"{home}.up", f"{at}.up", "up" in op.bias)
    if op.clamp is not None:
        gate = s.b.node("clamp", gate, at=f"{at}.gate.clamp", high=op.clamp)
        up = s.b.node("clamp", up, at=f"{at}.up.clamp", low=-op.clamp, high=op.clamp)
    if op.up_offset:
        up = s.b.node("scale", up, at=f"{at}.up.offset", by=1, plus=op.up_offset)
    y = s.b.node("mul", activation(s, op.activation, gate, f"{at}.act"), up, at=f"{at}.gated")
    if op.inner_norm is not None:
        y = norm(s, op.inner_norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    return linear(s, y, s.d_model, f"{home}.down", f"{at}.down", "down" in op.bias)
