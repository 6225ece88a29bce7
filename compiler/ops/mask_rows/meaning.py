"""Reference meaning of `mask_rows`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, mask = inputs
    keep = mask.bool()
    return (torch.where(keep[:, :, None] if x.dim() == 3 else keep[:, None, :, None], x, float(attrs.get("fill", 0))),)
