"""Reference meaning of `fold_axis`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    return (inputs[0].movedim(attrs["axis"] + 1, -2).flatten(0, -3),)
