"""Attention by hashing: one projection for queries and keys, one for values."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import linear


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    width = op.n_heads * op.d_head
    parts = []
    for role in ("qk", "v"):
        x = linear(s, h, width, f"{home}.{role}", f"{at}.{role}", False)
        parts.append(s.b.node("split_heads", x, at=f"{at}.{role}.heads", heads=op.n_heads))
    y = s.b.node(
        "lsh_attention", *parts, s.capture("attention_mask"), at=f"{at}.core", chunk=op.chunk, behind=op.behind,
        ahead=op.ahead, rounds=op.rounds, buckets=op.buckets, seed=op.seed, at_least=s.at_least["softmax"],
    )  # fmt: skip
    return linear(s, s.b.node("merge_heads", y, at=f"{at}.joined"), s.d_model, f"{home}.o", f"{at}.o", False)
