"""Text for generated files: a bias where a mask is true."""

import torch
from torch import Tensor


def slots_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Slots of queries (S, 1) and keys (1, S) of a pass over all tokens x (B, S, ...)."""
    at = torch.arange(x.shape[1], device=x.device)
    return at[:, None], at[None, :]


def bias_where(marked: Tensor, add: float, x: Tensor) -> Tensor:
    """add where marked (S, K), (H, S, K) or (B, H, S, K) is true, else 0: (B|1, H|1, S, K) in the type of x."""
    return (marked * add).to(x.dtype)[(None,) * (4 - marked.dim())]
