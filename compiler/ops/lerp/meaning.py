"""Reference meaning of `lerp`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, previous = inputs
    return (x * params["mix"] + previous * (1 - params["mix"]),)
