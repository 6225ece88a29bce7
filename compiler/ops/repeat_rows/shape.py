"""Every row of x (B, S, d) `factor` times, cut or filled with zeros to as many rows as `like` (B, S', ...) has.

keep_first: the first row stands once (Funnel's decoder, arXiv 2006.03236, section 2.3, with separate_cls).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class RepeatRows(Op):
    name = "repeat_rows"
    saves = ()
    fields = {"factor": REQUIRED, "keep_first": False}
    n_inputs = (2, 2)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        batch, _, *rest = inputs[0].shape
        return (TensorType(inputs[0].dtype, (batch, inputs[1].shape[1], *rest)),)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "rows are repeated from a shorter stream"


OP = RepeatRows()
