"""Text for generated files: a layer norm that torch has no function for."""

import torch
from torch import Tensor


def layer_norm_outside(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, groups: int = 1) -> Tensor:
    """(x - mean) / (std + eps) · weight + bias over each of so many slices of the width, in at least float32."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32)).unflatten(-1, (groups, -1))
    centred = wide - wide.mean(-1, keepdim=True)
    y = (centred / (centred.square().mean(-1, keepdim=True).sqrt() + eps)).flatten(-2).to(x.dtype)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias
