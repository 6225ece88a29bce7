"""Rows start to stop of x (B, S, ...): counted from the end where negative; stop None is the end. `rows`: how many."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class SliceRows(Op):
    name = "slice_rows"
    saves = ()
    view = True
    fields = {"start": REQUIRED, "stop": REQUIRED, "rows": REQUIRED}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        shape = inputs[0].shape
        return (TensorType(inputs[0].dtype, (shape[0], attrs["rows"], *shape[2:])),)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "rows are told by their place in the whole sequence"


OP = SliceRows()
