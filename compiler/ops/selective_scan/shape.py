"""Mamba's selective state space (arXiv 2312.00752, algorithm 2), after convolution and projections.

x, dt (B, S, I), b, c (B, S, N): h_t = exp(dt·A)∘h + dt·b·x; y = c·h + D·x, A = -exp(a_log) (I, N). dt is already
positive. FLOPs: none are matrix products of the reference (elementwise scan).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op, StateTensor


class SelectiveScan(Op):
    name = "selective_scan"
    kind = "recurrence"
    fields = {"d_state": REQUIRED, "at_least": "fp32"}
    n_inputs = (4, 4)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width = int(inputs[0].shape[-1])
        return {"a_log": (width, attrs["d_state"]), "d": (width,)}

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        batch, _, width = inputs[0].shape
        return (StateTensor("h", (batch, width, attrs["d_state"]), "constant", attrs["at_least"]),)


OP = SelectiveScan()
