"""Rows that a mask expression lets see at least one key: (B, S).

Inputs: q (B, S, ...), keys (B, T, ...) and their padding mask (B, T) or absent, of q and keys only the lengths; then
one input for each name of `mask_inputs`. Where q and keys are one value, its rows are marked by where they stand or by
their own marks (`queries`).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.masks.facts import by_query_slots, by_total
from compiler.ops.base import REQUIRED, Attrs, Op


class MarkedRows(Op):
    name = "marked_rows"
    saves = ()
    fields = {"mask": REQUIRED, "mask_inputs": []}
    n_inputs = (3, None)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("bool", inputs[0].shape[:2]),)

    def lookahead(self, attrs: Attrs) -> str | None:
        counted = by_total(attrs["mask"]) and by_query_slots(attrs["mask"])
        return "rows counted from the last one are others with every token" if counted else None


OP = MarkedRows()
