"""Text for generated files: experts chosen by groups (arXiv 2405.04434, section 2.1.2; 2412.19437, section 2.1.2)."""

import torch
from torch import Tensor


def keep_groups(choice: Tensor, groups: int, keep: int, best: int) -> Tensor:
    """choice (B, S, E), minus infinity outside the `keep` best groups: those whose `best` best have the largest sum."""
    grouped = choice.unflatten(-1, (groups, -1))
    kept = grouped.topk(best, -1).values.sum(-1).topk(keep, -1).indices  # (B, S, keep)
    hidden = torch.ones(grouped.shape[:-1], dtype=torch.bool, device=choice.device).scatter(-1, kept, False)
    return grouped.masked_fill(hidden[..., None], float("-inf")).flatten(-2)
