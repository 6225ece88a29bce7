"""Text for generated files: xPos (arXiv 2212.10554)."""

import torch
from torch import Tensor


def position_decays(zeta: Tensor, positions: Tensor, base: float, x: Tensor) -> Tensor:
    """zeta ** (position / base): zeta (D,), positions (B, S) -> (B, 1, S, D) in the type of x."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return (zeta.to(wide) ** (positions[:, None, :, None].to(wide) / base)).to(x.dtype)
