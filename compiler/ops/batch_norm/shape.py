"""(x - mean) / sqrt(variance + eps) · weight + bias, each (width,) and stored (Ioffe and Szegedy 2015, arXiv
1502.03167, at inference). gain "one_plus": the factor is 1 + weight."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class BatchNorm(Op):
    name = "batch_norm"
    kind = "norm"
    fields = {"eps": REQUIRED, "gain": "weight", "bias": True, "at_least": "fp32"}

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width: tuple[int, ...] = (int(inputs[0].shape[-1]),)
        shapes = {"mean": width, "variance": width}
        shapes |= {} if attrs.get("gain") == "none" else {"weight": width}
        return shapes | ({"bias": width} if attrs.get("bias", True) else {})


OP = BatchNorm()
