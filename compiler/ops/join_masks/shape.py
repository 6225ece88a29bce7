"""The padding mask of rows joined along the sequence: (B, n_1 + n_2 + ...), 1 at real rows.

Inputs by twos: rows (B, n, ...) and their mask (B, n) or absent where all of them are real.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op
from compiler.ops.concat.shape import total


class JoinMasks(Op):
    name = "join_masks"
    saves = ()
    n_inputs = (2, None)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        masked = [
            mask.shape[1] if mask.shape else rows.shape[1] for rows, mask in zip(inputs[::2], inputs[1::2], strict=True)
        ]
        return (TensorType("int", (inputs[0].shape[0], total(masked))),)


OP = JoinMasks()
