"""A learned factor, and a bias where asked for, of each channel of each head: x (B, H, S, D), both (H, D)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op


class HeadGain(Op):
    name = "head_gain"
    fields = {"gain": "weight", "bias": False}  # gain "one_plus": the factor is 1 + weight; "none": only the bias

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        shape: tuple[int, ...] = (int(inputs[0].shape[1]), int(inputs[0].shape[3]))
        weight = {} if attrs.get("gain", "weight") == "none" else {"weight": shape}
        return weight | ({"bias": shape} if attrs.get("bias") else {})


OP = HeadGain()
