"""Text for generated files: padding of joined rows."""

import torch
from torch import Tensor


def joined_real(parts: list[tuple[Tensor, Tensor | None]]) -> Tensor | None:
    """Rows (B, n, ...), each with its real ones (B, n) or None for all -> (B, sum of n), None if all are real."""
    if all(real is None for _, real in parts):
        return None
    each = [x.new_ones(x.shape[:2], dtype=torch.bool) if real is None else real for x, real in parts]
    return torch.cat(each, 1)
