"""Reference meaning of `read_rows`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, mask = inputs
    match attrs["rows"]:
        case "first":
            return (x[:, 0],)
        case "mean":
            weight = mask.to(x.dtype)[..., None]
            return ((x * weight).sum(1) / weight.sum(1).clamp(min=1e-9),)
    slots = torch.arange(x.shape[1], device=x.device)
    last = torch.where(mask.bool(), slots, -1).amax(1)
    return (x[torch.arange(len(x), device=x.device), last],)
