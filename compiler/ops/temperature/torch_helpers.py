"""Text for generated files: queries that grow sharper with the length."""

import torch
from torch import Tensor


def temperatures(positions: Tensor, floor: int, scale: float, x: Tensor) -> Tensor:
    """1 + scale · log(1 + floor((position + 1) / floor)): positions (B, S) -> (B, 1, S, 1) in the type of x."""
    factor = 1 + scale * torch.log1p(((positions + 1) // floor).to(torch.promote_types(x.dtype, torch.float32)))
    return factor.to(x.dtype)[:, None, :, None]
