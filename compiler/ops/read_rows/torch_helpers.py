"""Text for generated files: one row for each sequence."""

import torch
from torch import Tensor


def last_row(x: Tensor, real: Tensor | None) -> Tensor:
    """The last unpadded position: x (B, S, D), real (B, S) -> (B, D)."""
    if real is None:
        return x[:, -1]
    slots = torch.arange(x.shape[1], device=x.device)
    last = torch.where(real, slots, -1).amax(1)
    return x[torch.arange(len(x), device=x.device), last]


def mean_row(x: Tensor, real: Tensor | None) -> Tensor:
    """The mean over unpadded positions: x (B, S, D), real (B, S) -> (B, D)."""
    if real is None:
        return x.mean(1)
    share = real.to(x.dtype)[..., None]
    return (x * share).sum(1) / share.sum(1).clamp(min=1e-9)
