"""One row for every `stride` rows of x (B, S, ...): (B, ceil(S / stride), ...), the last one of as many as are left.

how: "mean"; "min" (of a padding mask: a row is real where all it is made of is); "first" of each group (of ids).
keep_first: the first row stands for a group of its own, as if it stood there `stride` times and the sequence ended
where it ends: what no longer fits is dropped (Funnel, arXiv 2006.03236, section 2.3, with transformers' separate_cls
and truncate_seq). Rows of padding take part in a mean, as they do there; the group that they are in is not real.
"""

from collections.abc import Sequence

from compiler.ir.types import Dim, TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class PoolRows(Op):
    name = "pool_rows"
    saves = ()
    fields = {"stride": REQUIRED, "keep_first": False, "how": "mean"}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        batch, rows, *rest = inputs[0].shape
        return (TensorType(inputs[0].dtype, (batch, pooled(rows, attrs["stride"]), *rest)),)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "pooled rows are made of later ones" if attrs["stride"] > 1 else None


def pooled(rows: Dim, stride: int) -> Dim:
    """How many rows are left of so many."""
    return -(-rows // stride) if isinstance(rows, int) else f"floor(({rows}+{stride - 1})/{stride})"


OP = PoolRows()
