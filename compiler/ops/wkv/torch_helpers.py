"""Text for generated files: RWKV-4's weighted sum (arXiv 2305.13048, equation 14)."""

import torch
from torch import Tensor

from compiler.emit.torch.runtime.scan import wide


def weighted_values(
    k: Tensor,
    v: Tensor,
    decay: Tensor,
    first: Tensor,
    numerator: Tensor | None,
    denominator: Tensor | None,
    top: Tensor | None,
) -> Tensor:
    """Values so far, weighted by exp(k - decay by age), the newest by exp(first + k): k, v (B, S, d) -> (B, S, d).

    The state (B, d): sums of the weighted values and of the weights, both divided by exp(top); brought up to date.
    """
    kind = v.dtype
    k, v, fade, first = wide(k), wide(v), -torch.exp(wide(decay)), wide(first)
    if numerator is None or denominator is None or top is None:
        sums = [torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0]), torch.full_like(k[:, 0], -1e38)]
    else:  # without a weight so far its greatest exponent is no number yet
        sums = [numerator.to(k.dtype), denominator.to(k.dtype), top.to(k.dtype).where(denominator > 0, -1e38)]
    run = weigh_chunk if k.shape[1] == 1 else weigh_chunks
    y, sums = run(k, v, fade, first, sums)
    if numerator is not None and denominator is not None and top is not None:
        numerator.copy_(sums[0])
        denominator.copy_(sums[1])
        top.copy_(sums[2])
    return y.to(kind)


@torch.compiler.disable  # a loop over chunks: compiled, it would be unrolled anew for every length
def weigh_chunks(
    k: Tensor, v: Tensor, fade: Tensor, first: Tensor, sums: list[Tensor], size: int = 16
) -> tuple[Tensor, list[Tensor]]:
    """`weigh_chunk` over all tokens."""
    out = []
    for start in range(0, k.shape[1], size):
        y, sums = weigh_chunk(k[:, start : start + size], v[:, start : start + size], fade, first, sums)
        out.append(y)
    return torch.cat(out, 1), sums


def weigh_chunk(k: Tensor, v: Tensor, fade: Tensor, first: Tensor, sums: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """C tokens at once. Weights are taken relative to the greatest of each sum, so that none overflows."""
    numerator, denominator, top = sums
    n = k.shape[1]
    time = torch.arange(n, device=k.device)
    age = (time[:, None] - 1 - time)[..., None]  # (C, C, 1) of key j when token i asks, -1 at its own
    exponent = (k[:, None] + age * fade).masked_fill(age < -1, float("-inf"))  # (B, C, C, d)
    exponent = torch.where(age == -1, (first + k)[:, None], exponent)
    before = top[:, None] + time[:, None] * fade  # (B, C, d)
    greatest = torch.maximum(exponent.amax(2), before)
    weight, old = torch.exp(exponent - greatest[:, :, None]), torch.exp(before - greatest)
    y = (weight * v[:, None]).sum(2) + old * numerator[:, None]
    y = y / (weight.sum(2) + old * denominator[:, None])
    exponent, before = k + (n - 1 - time)[:, None] * fade, top + n * fade
    greatest = torch.maximum(exponent.amax(1), before)
    weight, old = torch.exp(exponent - greatest[:, None]), torch.exp(before - greatest)
    return y, [(weight * v).sum(1) + old * numerator, weight.sum(1) + old * denominator, greatest]
