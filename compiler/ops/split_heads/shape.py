"""(B, S, heads·D) -> (B, heads, S, D)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class SplitHeads(Op):
    name = "split_heads"
    saves = ()
    view = True
    fields = {"heads": REQUIRED}

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        width = int(inputs[0].shape[-1])
        return None if width % attrs["heads"] == 0 else f"width {width} is not a multiple of {attrs['heads']} heads"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, s, width = inputs[0].shape
        return (TensorType(inputs[0].dtype, (b, attrs["heads"], s, int(width) // attrs["heads"])),)


OP = SplitHeads()
