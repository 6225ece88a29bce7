"""(B, heads, S, D) -> (B, S, heads·D)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op


class MergeHeads(Op):
    name = "merge_heads"
    saves = ()
    view = True

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, heads, s, width = inputs[0].shape
        return (TensorType(inputs[0].dtype, (b, s, int(heads) * int(width))),)


OP = MergeHeads()
