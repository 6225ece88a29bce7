"""Rows of x (B, S, ...) at places (B, P): (B, P, ...)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op


class TakeRows(Op):
    name = "take_rows"
    saves = ()
    n_inputs = (2, 2)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[1].shape, *inputs[0].shape[2:])),)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "rows are taken from anywhere in the sequence"


OP = TakeRows()
