"""Conformer's convolution: up, gated linear unit, depthwise convolution, norm, activation, down."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear, norm


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    width = s.width(h)
    both = linear(s, h, 2 * width, f"{home}.up", f"{at}.up", False)
    value = s.b.node("split", both, at=at, outputs=("value", "gate"), sizes=[width, width])
    y = s.b.node("mul", value, activation(s, "sigmoid", f"{at}.gate", f"{at}.gate.act"), at=f"{at}.gated")
    y = s.b.node("mask_rows", y, s.capture("attention_mask"), at=f"{at}.kept")
    params = {"weight": f"{home}.conv.weight"}
    conv = "causal_conv" if op.padding == "left" else "depthwise_conv"
    y = s.b.node(conv, y, at=f"{at}.conv", params=params, kind="conv", kernel=op.kernel)
    y = activation(s, op.activation, norm(s, op.norm, y, f"{home}.norm", f"{at}.norm"), f"{at}.act")
    return linear(s, y, width, f"{home}.down", f"{at}.down", False)
