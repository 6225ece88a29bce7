"""Text for generated files: places in experts (GShard, arXiv 2006.16668; Switch, arXiv 2101.03961)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def drop_weak(weights: Tensor, above: float) -> Tensor:
    """Weights (B, S, K) with those of later choices that are not above so much set to 0."""
    weak = weights <= above
    weak[..., 0] = False
    return weights.masked_fill(weak, 0.0)


def share_out(weights: Tensor, eps: float) -> Tensor:
    """Weights (B, S, K) divided by their sum; those that are all 0 stay so."""
    total = weights.sum(-1, keepdim=True) + eps
    return weights / total.masked_fill(total == 0, 1)


def give_places(
    weights: Tensor, index: Tensor, experts: int, limit: int, taken: Tensor | None = None, drop_zero: bool = False
) -> Tensor:
    """Weights and indices (B, S, K) of choices: weights with those that find no place in their expert set to 0.

    Places go in sequence order, to first choices before second ones. taken (B, E): places that earlier tokens took,
    counted on. drop_zero: a later choice of weight 0 asks for no place.
    """
    before = torch.zeros(len(weights), experts, dtype=torch.long, device=weights.device) if taken is None else taken
    kept = []
    for choice in range(weights.shape[-1]):
        asks = F.one_hot(index[..., choice], experts)  # (B, S, E)
        if drop_zero and choice > 0:
            asks = asks * (weights[..., choice] > 0)[..., None]
        fits = asks * (before[:, None] + asks.cumsum(1) <= limit)
        kept.append(weights[..., choice] * fits.sum(-1))
        before = before + asks.sum(1)
    if taken is not None:
        taken.copy_(before)
    return torch.stack(kept, -1)
