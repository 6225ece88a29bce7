"""Every head `times` times in a row, (B, G, S, D) -> (B, times·G, S, D): each group of queries finds its own key head
(grouped queries, arXiv 2305.13245) where the operator after it knows nothing of groups."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class RepeatHeads(Op):
    name = "repeat_heads"
    fields = {"times": REQUIRED}
    saves = ()

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        batch, heads, *rest = inputs[0].shape
        return (TensorType(inputs[0].dtype, (batch, int(heads) * attrs["times"], *rest)),)


OP = RepeatHeads()
