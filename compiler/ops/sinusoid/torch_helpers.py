"""Text for generated files: sines and cosines of positions (arXiv 1706.03762, section 3.5)."""

import torch
from torch import Tensor


def sinusoid_halves(positions: Tensor, inverse: Tensor, dtype: torch.dtype) -> Tensor:
    """[sin | cos]: positions (B, S), inverse (D/2,) -> (B, S, D)."""
    angle = positions[..., None] * inverse
    return torch.cat((angle.sin(), angle.cos()), -1).to(dtype)


def sinusoid_pairs(positions: Tensor, inverse: Tensor, dtype: torch.dtype) -> Tensor:
    """sin, cos, sin, cos, ...: positions (B, S), inverse (D/2,) -> (B, S, D)."""
    angle = positions[..., None] * inverse
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(-2).to(dtype)
