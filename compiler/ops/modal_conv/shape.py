"""A long causal convolution whose filter is a sum of modes: x (B, S, C) -> h * x + skip·x.

h_t = Re(sum over o of residue_o · pole_o^t), poles and residues (groups, order, 2) as real and imaginary parts, one
filter for each of `groups` runs of channels, skip (C,) (Hyena's modal form, arXiv 2310.18780). The state holds each
mode's sum, so a step costs the same at any length.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor


class ModalConv(Op):
    name = "modal_conv"
    kind = "recurrence"
    fields = {"order": REQUIRED, "groups": REQUIRED, "at_least": "fp32"}

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        width = int(inputs[0].shape[-1])
        return f"{width} channels are not a multiple of {attrs['groups']} groups" if width % attrs["groups"] else None

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        modes: tuple[int, ...] = (attrs["groups"], attrs["order"], 2)
        return {"poles": modes, "residues": modes, "skip": (int(inputs[0].shape[-1]),)}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        """As a recurrence: two complex products a mode and channel."""
        n = 2 * inputs[0].elements(env) * attrs["order"] * 6
        return Flops(n, n)

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        batch, _, width = inputs[0].shape
        return (StateTensor("modes", (batch, width, attrs["order"], 2), "constant", "fp32"),)


OP = ModalConv()
