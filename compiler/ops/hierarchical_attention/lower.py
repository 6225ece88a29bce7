"""Attention in levels: projections as of any attention, queries, keys and values turned where a position says so."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import linear
from compiler.lower.turning import turned


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    width = op.n_heads * op.d_head
    flat = [linear(s, h, width, f"{home}.{role}", f"{at}.{role}", role in op.bias) for role in "qkv"]
    q, k, v = (s.b.node("split_heads", x, at=f"{x}.heads", heads=op.n_heads) for x in flat)
    q, k, v = turned(s, op.position, q, k, v, home, at)
    y = s.b.node(
        "hierarchical_attention", q, k, v, s.capture("attention_mask"), at=f"{at}.core", block=op.block,
        coarsest=op.coarsest, scale=op.d_head**-0.5, at_least=s.at_least["softmax"],
    )  # fmt: skip
    y = s.b.node("merge_heads", y, at=f"{at}.joined")
    return linear(s, y, s.width(h), f"{home}.o", f"{at}.o", "o" in op.bias)
