"""down(inner_norm(act(up·x)))."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear, norm


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    y = linear(s, h, op.d_ff, f"{home}.up", f"{at}.up", "up" in op.bias)
    y = activation(s, op.activation, y, f"{at}.act")
    if op.inner_norm is not None:
        y = norm(s, op.inner_norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    return linear(s, y, s.d_model, f"{home}.down", f"{at}.down", "down" in op.bias)
