"""Reference meaning of `alibi`."""

import torch
from torch import Tensor

from compiler.ops.alibi.shape import NARROW, slopes
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    mask = inputs[0].long()
    place = ((mask.cumsum(1) - 1) * mask)[:, None, None, :] * attrs.get("stride", 1)  # (B, 1, 1, T)
    slope = torch.tensor(slopes(attrs["heads"], attrs.get("max_bias", 8)), dtype=ctx.dtype)[:, None, None]
    if narrow := NARROW.get(attrs.get("computed_in") or ""):
        rounded = getattr(torch, narrow)
        return ((slope.to(rounded) * place.to(rounded)).to(ctx.dtype),)
    return (slope * place.to(ctx.dtype),)
