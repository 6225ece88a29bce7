"""A causal depthwise convolution: y_t = sum_i w[:, i]·x_{t-K+1+i} (+ bias); weight (C, K), zeros before the start."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op, StateTensor


class CausalConv(Op):
    name = "causal_conv"
    fields = {"kernel": REQUIRED, "bias": False}

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width = int(inputs[0].shape[-1])
        return {"weight": (width, attrs["kernel"])} | ({"bias": (width,)} if attrs.get("bias") else {})

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        batch, _, width = inputs[0].shape
        return (StateTensor("tail", (batch, attrs["kernel"] - 1, width), "constant"),)


OP = CausalConv()
