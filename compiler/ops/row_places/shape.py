"""Where the rows of a one-hot mapping (B, P, S) point: (B, P)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op


class RowPlaces(Op):
    name = "row_places"
    saves = ()

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("int", inputs[0].shape[:2]),)


OP = RowPlaces()
