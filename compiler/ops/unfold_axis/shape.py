"""The way back from `fold_axis`: (B·rest, n_axis, w) and a grid (B, n_0, n_1, ..., d) -> (B, n_0, n_1, ..., w)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class UnfoldAxis(Op):
    name = "unfold_axis"
    saves = ()
    fields = {"axis": REQUIRED}
    n_inputs = (2, 2)  # rows, a value of the grid's shape

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[1].shape[:-1], inputs[0].shape[-1])),)


OP = UnfoldAxis()
