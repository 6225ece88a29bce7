"""Text for generated files: an RMS norm that torch has no function for."""

import torch
from torch import Tensor


def rms_norm_outside(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """x / (sqrt(mean(x²)) + eps) · weight, computed in at least float32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    y = (wide / (wide.square().mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype)
    return y if weight is None else y * weight
