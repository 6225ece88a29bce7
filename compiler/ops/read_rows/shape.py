"""Some positions of (B, S, width): the first, the last, or their mean over unpadded ones -> (B, width)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class ReadRows(Op):
    name = "read_rows"
    saves = ()
    fields = {"rows": REQUIRED}
    n_inputs = (2, 2)  # x (B, S, width), attention mask (B, T)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        return None if attrs["rows"] in ("first", "last", "mean") else f"cannot read rows {attrs['rows']!r}"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, _, width = inputs[0].shape
        return (TensorType(inputs[0].dtype, (b, width)),)

    def lookahead(self, attrs: Attrs) -> str | None:
        return f"the head reads the {attrs['rows']} of the whole sequence"


OP = ReadRows()
