"""Rows of zeros before the first token: keys (B, G, count, D), values (B, G, count, Dv), places of the queries (B, S)
and of the rows (B, count), which stand at -count to -1, and who sees them by `mask` (1, 1|H, S, count). Of the input
(B, S, d) only batch and length are read.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class ZeroKeys(Op):
    name = "zero_keys"
    saves = ()
    fields = {"count": REQUIRED, "heads": REQUIRED, "d_key": REQUIRED, "d_value": REQUIRED, "mask": REQUIRED}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, rows = inputs[0].shape[:2]
        made = tuple(TensorType("float", (b, attrs["heads"], attrs["count"], attrs[d])) for d in ("d_key", "d_value"))
        seen = TensorType("bool", (1, 1, rows, attrs["count"]))
        return (*made, TensorType("int", (b, rows)), TensorType("int", (b, attrs["count"])), seen)


OP = ZeroKeys()
