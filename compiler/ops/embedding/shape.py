"""Rows of a table by id: weight (rows, width); `offset` is added to the ids."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class Embedding(Op):
    name = "embedding"
    kind = "table"
    saves = ()
    fields = {"rows": REQUIRED, "width": REQUIRED, "offset": 0}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (*inputs[0].shape, attrs["width"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"weight": (attrs["rows"], attrs["width"])}

    def touched(self, role: str, shape: tuple[int, ...], attrs: Attrs, tokens: int) -> float:
        return min(tokens, int(attrs["rows"])) * int(attrs["width"])


OP = Embedding()
