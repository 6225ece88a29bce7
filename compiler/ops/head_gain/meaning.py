"""Reference meaning of `head_gain`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context, affine


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    return (affine(inputs[0], {role: p[:, None] for role, p in params.items()}, attrs),)
