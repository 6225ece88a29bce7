"""Reference meaning of `embedding`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    return (params["weight"][inputs[0] + attrs.get("offset", 0)],)
