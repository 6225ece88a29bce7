"""Bias (1|B, 1|H, S, T): `add` where a mask expression is true, zero elsewhere. A key that counts n times adds log n.

Inputs: q (B, H, S, D) and k (B, G, T, D), of which only the lengths are read, then one input for each name of
`mask_inputs`. `apart`: the keys are another stack's.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.masks.facts import by_query_slots, by_total
from compiler.ops.base import REQUIRED, Attrs, Op


class MaskBias(Op):
    name = "mask_bias"
    saves = ()
    fields = {"mask": REQUIRED, "add": REQUIRED, "mask_inputs": [], "apart": False}
    n_inputs = (2, None)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        batch = inputs[0].shape[0] if attrs.get("mask_inputs") else 1
        heads = inputs[0].shape[1] if "by_head" in repr(attrs["mask"]) else 1
        return (TensorType("float", (batch, heads, inputs[0].shape[2], inputs[1].shape[2])),)

    def lookahead(self, attrs: Attrs) -> str | None:
        if attrs.get("apart"):
            return (
                "where a query stands beside another stack's rows is not known"
                if by_query_slots(attrs["mask"])
                else None
            )
        return "what is counted from the last token changes with every token" if by_total(attrs["mask"]) else None


OP = MaskBias()
