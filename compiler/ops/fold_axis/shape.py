"""One axis of a grid becomes the sequence, the others join the batch: (B, n_0, n_1, ..., d) -> (B·rest, n_axis, d)."""

from collections.abc import Sequence

from compiler.ir.types import Dim, TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class FoldAxis(Op):
    name = "fold_axis"
    saves = ()
    fields = {"axis": REQUIRED}  # counted without the batch

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        axes = len(inputs[0].shape) - 2
        return None if 0 <= attrs["axis"] < axes else f"axis {attrs['axis']} of {axes}"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        batch, *grid, width = inputs[0].shape
        length = grid.pop(attrs["axis"])
        return (TensorType(inputs[0].dtype, (product([batch, *grid]), length, width)),)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "a grid is run as a whole"


def product(dims: list[Dim]) -> Dim:
    """The product of dimensions; symbols stay symbols."""
    return "*".join(str(d) if isinstance(d, int) or d.isidentifier() else f"({d})" for d in dims)


OP = FoldAxis()
