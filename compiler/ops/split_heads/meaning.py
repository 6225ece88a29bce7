"""Reference meaning of `split_heads`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    return (inputs[0].unflatten(-1, (attrs["heads"], -1)).transpose(1, 2),)
