"""Hyena: in → short convolution → x2, x1, v by head → x2·(h * (x1·v)) → out."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import linear


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    width, mask = s.width(h), s.capture("attention_mask")
    x = linear(s, h, 3 * width, f"{home}.in", f"{at}.in", "in" in op.bias)
    x = s.b.node("mask_rows", x, mask, at=f"{at}.kept")
    params = {role: f"{home}.conv.{role}" for role in ("weight", "bias")}
    x = s.b.node("causal_conv", x, at=f"{at}.conv", params=params, kind="conv", kernel=op.d_conv, bias=True)
    x = s.b.node(
        "split_heads", s.b.node("mask_rows", x, mask, at=f"{at}.conv.kept"), at=f"{at}.heads", heads=op.n_heads
    )
    names = ("outer", "inner", "value")
    s.b.node("split", x, at=f"{at}.parts", outputs=names, sizes=[width // op.n_heads] * 3)
    outer, inner, value = (s.b.node("merge_heads", f"{at}.parts.{name}", at=f"{at}.{name}") for name in names)
    y = s.b.node("mul", inner, value, at=f"{at}.inside")
    path = s.owner(f"{home}.filter", op.filter.weights)
    y = s.b.node(
        "modal_conv", y, at=f"{at}.long", params={role: f"{path}.{role}" for role in ("poles", "residues", "skip")},
        kind="scan", order=op.filter.order, groups=op.filter.groups, at_least=s.at_least["scan"],
    )  # fmt: skip
    return linear(s, s.b.node("mul", outer, y, at=f"{at}.gated"), width, f"{home}.out", f"{at}.out", "out" in op.bias)
