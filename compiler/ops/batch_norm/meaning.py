"""Reference meaning of `batch_norm`."""

from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context, affine


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    y = (inputs[0] - params["mean"]) / (params["variance"] + attrs["eps"]).sqrt()
    return (affine(y, params, {"gain": attrs.get("gain", "weight"), "bias": attrs.get("bias", True)}),)
