"""y = x + bias over the last axis."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op


class Bias(Op):
    name = "bias"
    kind = "elementwise"
    saves = ()

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"bias": (int(inputs[0].shape[-1]),)}


OP = Bias()
