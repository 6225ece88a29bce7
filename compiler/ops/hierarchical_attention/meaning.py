"""Reference meaning of `hierarchical_attention`."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.hierarchical_attention.shape import padded


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, mask = inputs
    length, block = q.shape[2], attrs["block"]
    rows = padded(length, attrs)
    q, k, v = (F.pad(x, (0, 0, 0, rows - length)) for x in (q, k, v))
    real = mask.bool() if mask.numel() else torch.ones(len(q), length, dtype=torch.bool)
    real = F.pad(real, (0, rows - length), value=False)
    v = v * real[:, None, :, None]
    values, weights = level(q, k, v, real, attrs, False)
    group = 1
    while True:
        near = level(q, k, v, real, attrs, True)
        values, weights = (a + b.repeat_interleave(group, 2) for a, b in zip((values, weights), near, strict=True))
        if rows == block * attrs.get("coarsest", 4):
            return ((values / (weights + attrs.get("eps", 1e-8))[..., None])[:, :, :length],)
        q, k, v, real = mean(q, real), mean(k, real), v.unflatten(2, (-1, 2)).sum(3), real.unflatten(1, (-1, 2)).any(2)
        rows, group = rows // 2, group * 2


def mean(x: Tensor, real: Tensor) -> Tensor:
    """Pairs of rows (B, H, R, D) made one, rows that stand for nothing left out."""
    weight = real.to(x.dtype)[:, None, :, None]
    total, count = ((t.unflatten(2, (-1, 2))).sum(3) for t in (x * weight, weight))
    return total / count.clamp(min=1)


def level(q: Tensor, k: Tensor, v: Tensor, real: Tensor, attrs: Attrs, neighbours: bool) -> tuple[Tensor, Tensor]:
    """Sums of weighted values (B, H, R, D) and of weights (B, H, R): each block beside itself or its neighbour."""
    q, k, v = (x.unflatten(2, (-1, attrs["block"])) for x in (q, k, v))  # (B, H, blocks, block, D)
    real = real.unflatten(1, (-1, attrs["block"]))[:, None, :, None]  # (B, 1, blocks, 1, block)
    if neighbours:
        k, v, real = (x.unflatten(2, (-1, 2)).flip(3).flatten(2, 3) for x in (k, v, real))
    scores = (q @ k.mT * attrs["scale"]).masked_fill(~real, float("-inf"))
    most = scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)  # a row that sees nothing: 0 - 0
    weights = torch.exp(scores - most)
    return (weights @ v).flatten(2, 3), weights.sum(-1).flatten(2, 3)
