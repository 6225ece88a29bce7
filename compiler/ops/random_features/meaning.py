"""Reference meaning of `random_features`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x = inputs[0] * inputs[0].shape[-1] ** -0.25
    projected = x @ params["projection"].T
    square = (x**2).sum(-1, keepdim=True) / 2
    top = projected.amax(-1, keepdim=True)
    if attrs.get("keys"):
        if len(inputs) > 1 and inputs[1].numel():
            top = top.masked_fill(~inputs[1].bool()[:, None, :, None], float("-inf"))
        top = top.amax(-2, keepdim=True)
    return (attrs["features"] ** -0.5 * (torch.exp(projected - square - top) + attrs["eps"]),)
