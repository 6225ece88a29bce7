"""What emitted models call."""

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + bias: x (..., I), weight (O, I) -> (..., O)."""
    if torch.compiler.is_compiling() and x.device.type == "cpu" and x.numel() == x.shape[-1]:
        # One row: the compiler's own loop reads the weights as fast as memory gives them, a library's product does not.
        y = (x.reshape(-1) * weight).sum(-1)
        return (y if bias is None else y + bias).reshape(*x.shape[:-1], -1)
    return F.linear(x, weight, bias)
