"""Reference meaning of `length_projection`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x = inputs[0]
    if x.shape[1] > attrs["length"]:
        raise ValueError(f"{x.shape[1]} rows, the projection takes {attrs['length']}")
    return (params["weight"][:, : x.shape[1]] @ x,)
