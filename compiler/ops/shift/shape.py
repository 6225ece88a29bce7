"""Each position's predecessor: y_t = x_{t-1}, zeros at the start."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op, StateTensor


class Shift(Op):
    name = "shift"

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        batch, _, width = inputs[0].shape
        return (StateTensor("last", (batch, 1, width), "constant"),)


OP = Shift()
