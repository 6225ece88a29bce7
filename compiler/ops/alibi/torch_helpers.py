"""Text for generated files: linear biases (arXiv 2108.12409)."""

import torch
from torch import Tensor


def alibi(
    slopes: Tensor,
    real: Tensor | None,
    x: Tensor,
    j: Tensor | None = None,
    rounded: torch.dtype | None = None,
    stride: int = 1,
) -> Tensor:
    """Slope of the head times the key's number among unpadded tokens: slopes (H,), real (B, T) -> (B|1, H, 1, K).

    j (K,): tokens of the keys (None: all in order). rounded: slopes, numbers and product are rounded to this type.
    stride: a key counts for so many.
    """
    if real is None:
        place = torch.arange(x.shape[1], device=x.device)[None] if j is None else j[None]
    else:
        place = (real.cumsum(1) - 1) * real
        place = place if j is None else place[:, j.clamp(min=0)]
    place = place * stride
    inner = rounded or torch.promote_types(x.dtype, torch.float32)
    return (slopes.to(inner)[:, None, None] * place[:, None, None, :].to(inner)).to(x.dtype)
