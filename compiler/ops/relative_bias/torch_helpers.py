"""Text for generated files: buckets of relative distances (T5, arXiv 1910.10683, section 2.1)."""

import math

import torch
from torch import Tensor


def distances(i: Tensor, j: Tensor) -> Tensor:
    """j - i of queries i (S,) and keys j (K,): (S, K)."""
    return j[None, :] - i[:, None]


def spaced_offsets(q: Tensor, k: Tensor, spacing: list[list[int]]) -> Tensor:
    """j - i (S, K) of pooled queries q (B, H, S, D) and keys k (B, G, K, D); spacing: [stride, first] of both."""
    (q_stride, q_first), (k_stride, k_first) = spacing
    i = q_first + q_stride * torch.arange(q.shape[2], device=q.device)
    return k_first + k_stride * torch.arange(k.shape[2], device=k.device)[None, :] - i[:, None]


def log_buckets(offset: Tensor, buckets: int, far: int, two_sides: bool) -> Tensor:
    """Table row of each offset j - i: half of the rows exact, half logarithmic up to `far`."""
    first = torch.zeros_like(offset)
    if two_sides:
        buckets //= 2
        first = (offset > 0).long() * buckets
        distance = offset.abs()
    else:
        distance = (-offset).clamp(min=0)
    exact = buckets // 2
    log = torch.log(distance.float().clamp(min=1) / exact) / math.log(far / exact) * (buckets - exact)
    return first + torch.where(distance < exact, distance, (exact + log.long()).clamp(max=buckets - 1))
