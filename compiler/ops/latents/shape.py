"""Learned rows, the same for every sequence: (B, count, width); of the input only the batch is read."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class Latents(Op):
    name = "latents"
    saves = ()
    view = True
    fields = {"count": REQUIRED, "width": REQUIRED}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (inputs[0].shape[0], attrs["count"], attrs["width"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"weight": (attrs["count"], attrs["width"])}


OP = Latents()
