"""Text for generated files: attention in levels (H-Transformer-1D, arXiv 2107.11906)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def attend_in_levels(
    q: Tensor, k: Tensor, v: Tensor, real: Tensor | None, block: int, coarsest: int, scale: float, eps: float
) -> Tensor:
    """q, k, v (B, H, S, D), real (B, S) False at padding: each block of rows beside itself, and beside its neighbour
    at every level, where a row stands for twice as many tokens as at the one before."""
    length, rows = q.shape[2], block * coarsest
    while rows < length:
        rows *= 2
    real = torch.ones(len(q), length, dtype=torch.bool, device=q.device) if real is None else real
    real = F.pad(real, (0, rows - length), value=False)
    q, k, v = (F.pad(x, (0, 0, 0, rows - length)) for x in (q, k, v))
    v = v * real[:, None, :, None]
    values, weights = attend_at_level(q, k, v, real, block, scale, False)
    group = 1
    while True:
        more = attend_at_level(q, k, v, real, block, scale, True)
        values, weights = (a + b.repeat_interleave(group, 2) for a, b in zip((values, weights), more, strict=True))
        if rows == block * coarsest:
            return (values / (weights + eps)).to(v.dtype)[:, :, :length]
        q, k, v = mean_of_pairs(q, real), mean_of_pairs(k, real), v.unflatten(2, (-1, 2)).sum(3)
        real = real.unflatten(1, (-1, 2)).any(2)
        rows, group = rows // 2, group * 2


def mean_of_pairs(x: Tensor, real: Tensor) -> Tensor:
    """Pairs of rows of x (B, H, R, D) made one: the mean of those that are real (B, R)."""
    pairs = (x * real[:, None, :, None]).unflatten(2, (-1, 2)).sum(3)
    return pairs / real.unflatten(1, (-1, 2)).sum(2).clamp(min=1)[:, None, :, None]


def attend_at_level(
    q: Tensor, k: Tensor, v: Tensor, real: Tensor, block: int, scale: float, neighbours: bool
) -> tuple[Tensor, Tensor]:
    """Sums of weighted values (B, H, R, D) and of weights (B, H, R, 1), the largest weight of a row being 1."""
    q, k, v = (x.unflatten(2, (-1, block)) for x in (q, k, v))  # (B, H, blocks, block, D)
    real = real.unflatten(1, (-1, block))[:, None, :, None]
    if neighbours:
        k, v, real = (x.unflatten(2, (-1, 2)).flip(3).flatten(2, 3) for x in (k, v, real))
    scores = (q @ k.mT * scale).to(torch.promote_types(q.dtype, torch.float32)).masked_fill(~real, float("-inf"))
    weights = torch.exp(scores - scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min))
    values = weights.to(v.dtype) @ v
    return values.flatten(2, 3), weights.sum(-1, keepdim=True).flatten(2, 3)
