"""The last axis cut into pieces of the given sizes."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class Split(Op):
    name = "split"
    saves = ()
    view = True
    fields = {"sizes": REQUIRED}

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        width, total = inputs[0].shape[-1], sum(attrs["sizes"])
        return None if width == total else f"sizes add up to {total}, the axis has {width}"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return tuple(TensorType(inputs[0].dtype, (*inputs[0].shape[:-1], n)) for n in attrs["sizes"])


OP = Split()
