"""Mamba-2's state space duality (arXiv 2405.21060): one scalar decay for each head.

x (B, S, H·P), dt (B, S, H), b, c (B, S, G·N): dt = clamp(softplus(dt + dt_bias)); h = exp(dt·A)·h + dt·b xᵀ;
y = c·h + D·x, A = -exp(a_log) (H,). Groups of H/G heads share b and c.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op, StateTensor


class Ssd(Op):
    name = "ssd"
    kind = "recurrence"
    fields = {"n_heads": REQUIRED, "n_groups": 1, "dt_limit": None, "at_least": "fp32"}
    n_inputs = (4, 4)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        heads, groups = attrs["n_heads"], attrs["n_groups"]
        return f"{heads} heads are not a multiple of {groups} groups" if heads % groups else None

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("a_log", "d", "dt_bias"), (attrs["n_heads"],))

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        width, n = int(inputs[0].shape[-1]) // attrs["n_heads"], int(inputs[2].shape[-1]) // attrs["n_groups"]
        shape = (inputs[0].shape[0], attrs["n_heads"], width, n)
        return (StateTensor("h", shape, "constant", attrs["at_least"]),)


OP = Ssd()
