"""Reference meaning of `put_rows`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    out = inputs[0].clone()
    out[:, attrs["start"] : attrs["stop"]] = inputs[1]
    return (out,)
