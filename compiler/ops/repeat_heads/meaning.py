"""Reference meaning of `repeat_heads`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    return (inputs[0].repeat_interleave(attrs["times"], 1),)
