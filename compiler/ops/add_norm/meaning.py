"""Reference meaning of `add_norm`."""

from torch import Tensor

from compiler import ops
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    total = attrs.get("left", 1) * inputs[0] + attrs.get("right", 1) * inputs[1]
    (normed,) = ops.meaning(attrs["norm"]).run([total], params, attrs, ctx)
    return total, normed
