"""A convolution along the sequence, each channel alone, centred on its row: x (B, S, C), weight (C, kernel).

Rows outside the sequence count as zero; of an even kernel's taps one more looks back (Conformer, arXiv 2005.08100).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class DepthwiseConv(Op):
    name = "depthwise_conv"
    fields = {"kernel": REQUIRED}

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"weight": (int(inputs[0].shape[-1]), attrs["kernel"])}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        n = 2 * inputs[0].elements(env) * attrs["kernel"]
        return Flops(n, n)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "a centred convolution sees later positions" if attrs["kernel"] > 1 else None


OP = DepthwiseConv()
