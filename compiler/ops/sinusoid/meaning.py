"""Reference meaning of `sinusoid`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.sinusoid.shape import inverse_frequencies


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    inverse = torch.tensor(inverse_frequencies(attrs), dtype=ctx.dtype)
    angle = (inputs[0] + attrs.get("offset", 0))[..., None].to(ctx.dtype) * inverse  # (B, S, width/2)
    if attrs.get("layout") == "halves":
        return (torch.cat([angle.sin(), angle.cos()], -1),)
    return (torch.stack([angle.sin(), angle.cos()], -1).flatten(-2),)
