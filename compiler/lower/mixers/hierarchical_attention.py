"""Attention in levels: projections as of any attention, queries, keys and values turned where a position says so."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.find import find
from compiler.lower.pointwise import linear


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    if op.mask.type != "full":
        # A coarser query is the mean of a group, later tokens included.
        s.refuse(f"hierarchical attention under the mask {op.mask.type!r}", f"{at}/mask")
    width, x = op.n_heads * op.d_head, {}
    for role in "qkv":
        flat = linear(s, h, width, f"{home}.{role}", f"{at}.{role}", role in op.bias)
        x[role] = s.b.node("split_heads", flat, at=f"{at}.{role}.heads", heads=op.n_heads)
    for i, term in enumerate(op.position):
        module = find("position", term.type)
        if module is None:
            s.refuse(f"position {term.type!r}", f"{at}/position/{i}")
        if "v" in getattr(term, "rotates", ()):
            alone = term.model_copy(update={"rotates": ("q",), "decay_base": None})
            x["v"], _, _ = module.lower(s, alone, x["v"], x["v"], home, f"{at}.{term.type}.v")
        x["q"], x["k"], _ = module.lower(s, term, x["q"], x["k"], f"{home}.{term.type}", f"{at}.{term.type}")
    for term in op.position:
        if finish := getattr(find("position", term.type), "finish", None):
            x["q"] = finish(s, term, x["q"], f"{home}.{term.type}", f"{at}.{term.type}")
    y = s.b.node(
        "hierarchical_attention", *x.values(), s.capture("attention_mask"), at=f"{at}.core", block=op.block,
        coarsest=op.coarsest, scale=op.d_head**-0.5, at_least=s.at_least["softmax"],
    )  # fmt: skip
    y = s.b.node("merge_heads", y, at=f"{at}.joined")
    return linear(s, y, s.width(h), f"{home}.o", f"{at}.o", "o" in op.bias)
