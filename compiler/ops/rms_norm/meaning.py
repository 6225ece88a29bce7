"""Reference meaning of `rms_norm`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context, affine


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x = inputs[0]
    groups = attrs.get("groups", 1)
    square = x.pow(2).unflatten(-1, (groups, -1)).mean(-1).repeat_interleave(x.shape[-1] // groups, -1)
    if attrs.get("eps_at") == "outside":
        y = x / (square.sqrt() + attrs["eps"])
    else:
        y = x / (square + attrs["eps"]).sqrt()
    return (affine(y, params, attrs),)
