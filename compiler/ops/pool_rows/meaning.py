"""Reference meaning of `pool_rows`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, stride = inputs[0], attrs["stride"]
    rows = x.shape[1]
    if attrs.get("keep_first"):
        x = torch.cat([*[x[:, :1]] * (stride - 1), x], 1)[:, :rows]
    groups = x.split(stride, 1)
    match attrs.get("how", "mean"):
        case "first":
            return (torch.stack([group[:, 0] for group in groups], 1),)
        case "min":
            return (torch.stack([group.amin(1) for group in groups], 1),)
    return (torch.stack([group.mean(1) for group in groups], 1),)
