"""Reference meaning of `unfold_axis`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    rows, grid = inputs
    batch = grid.movedim(attrs["axis"] + 1, -2).shape[:-2]
    return (rows.unflatten(0, batch).movedim(-2, attrs["axis"] + 1),)
