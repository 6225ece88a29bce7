"""Rows of zeros before the first token, which positions and the mask count as tokens."""

from typing import Any

from compiler.lower import terms
from compiler.lower.context import Scope
from compiler.masks.facts import by_total, holds, input_names


def begin(s: Scope, op: Any, keys: Any, mask: Any, h: str, at: str) -> None:
    """The rows and everybody's places."""
    terms.check_beside(s, op, "keys of zeros", at)
    if s.memory["reach"] is None or input_names(mask) or by_total(mask) or holds(mask, "top_blocks", "random_blocks"):
        s.refuse("keys of zeros under a mask that has no end, or by more than places", at)
    made = s.b.node(
        "zero_keys", h, at=f"{at}.zeros", outputs=("keys", "values", "queries", "places", "seen"),
        count=keys.count, heads=op.n_kv_heads, d_key=op.d_head, d_value=op.d_value, mask=mask,
    )  # fmt: skip
    values, near, number, seen = s.b.nodes[-1].outputs[1:]
    s.memory |= {"keys": made, "values": values, "near": near, "number": number, "seen": seen}
    s.memory["far"] = s.memory["reach"]
