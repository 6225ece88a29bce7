"""Reference meaning of `layer_norm`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context, affine


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x = inputs[0].unflatten(-1, (attrs.get("groups", 1), -1))
    centred = x - x.mean(-1, keepdim=True)
    var = centred.pow(2).mean(-1, keepdim=True)
    if attrs.get("eps_at") == "outside":
        y = centred / (var.sqrt() + attrs["eps"])
    else:
        y = centred / (var + attrs["eps"]).sqrt()
    return (affine(y.flatten(-2), params, {"bias": True, **attrs}),)
