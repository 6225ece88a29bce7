"""Reference meaning of `wkv`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    k, v = inputs
    decay, first = -torch.exp(params["decay"]), params["first"]
    numerator, denominator = torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0])
    top = torch.full_like(k[:, 0], -1e38)
    out = []
    for t in range(k.shape[1]):
        now = torch.maximum(top, first + k[:, t])
        past, own = torch.exp(top - now), torch.exp(first + k[:, t] - now)
        out.append((past * numerator + own * v[:, t]) / (past * denominator + own))
        then = torch.maximum(top + decay, k[:, t])
        past, own = torch.exp(top + decay - then), torch.exp(k[:, t] - then)
        numerator, denominator, top = past * numerator + own * v[:, t], past * denominator + own, then
    return (torch.stack(out, 1),)
