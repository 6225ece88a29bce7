"""Text for generated files: pooled rows widened again (arXiv 2006.03236, section 2.3)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def repeat_rows(x: Tensor, rows: int, factor: int, keep_first: bool) -> Tensor:
    """Each row of x (B, S, d) `factor` times, cut or filled with zeros to (B, rows, d); keep_first: the first once."""
    first = x[:, :1] if keep_first else x[:, :0]
    rest = x[:, first.shape[1] :].repeat_interleave(factor, 1)
    return torch.cat((first, F.pad(rest, (0, 0, 0, rows - first.shape[1] - rest.shape[1]))), 1)
