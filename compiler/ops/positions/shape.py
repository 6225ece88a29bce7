"""Position ids (B, S) from slot order, the attention mask or the ids.

index: 0, 1, 2, ... by slot. count_mask: cumsum(mask) - 1, at least 0. count_nonpad: cumsum(ids != pad)·(ids != pad):
real tokens count from 1, padding sits at 0 (RoBERTa adds pad_id to both, which is the offset of its learned table).
In a step the count goes on from the state. `given` names the optional model input that replaces all of this when the
caller passes it. input: it is not optional.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op, StateTensor


class Positions(Op):
    name = "positions"
    saves = ()
    fields = {"counts": REQUIRED, "pad_id": 0, "given": ""}
    n_inputs = (2, 2)  # ids (or any (B, S, ...)), attention mask (B, T)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("int", inputs[0].shape[:2]),)

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        return (StateTensor("count", (inputs[0].shape[0],), "constant", "int"),)


OP = Positions()
