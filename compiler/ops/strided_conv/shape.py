"""A convolution with steps and no padding: (B, L) or (B, L, C) -> (B, (L - kernel) // stride + 1, channels).

weight (channels, C, kernel), bias (channels,) where there is one (wav2vec 2.0, arXiv 2006.11477, section 2).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class StridedConv(Op):
    name = "strided_conv"
    fields = {"channels": REQUIRED, "kernel": REQUIRED, "stride": REQUIRED, "bias": False}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        batch, length = inputs[0].shape[:2]
        kernel, stride = attrs["kernel"], attrs["stride"]
        rows = (length - kernel) // stride + 1 if isinstance(length, int) else f"floor(({length}-{kernel})/{stride})+1"
        return (TensorType("float", (batch, rows, attrs["channels"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        given = int(inputs[0].shape[2]) if len(inputs[0].shape) == 3 else 1
        weight: tuple[int, ...] = (attrs["channels"], given, attrs["kernel"])
        return {"weight": weight} | ({"bias": (attrs["channels"],)} if attrs.get("bias") else {})

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        given = int(inputs[0].shape[2]) if len(inputs[0].shape) == 3 else 1
        n = 2 * self.infer(inputs, attrs)[0].elements(env) * given * attrs["kernel"]
        return Flops(n, n)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "rows are made of samples that come later"


OP = StridedConv()
