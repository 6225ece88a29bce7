"""Text for generated files: scores by segment (arXiv 1906.08237, section 2.5)."""

import torch
from torch import Tensor


def score_by_segment(q: Tensor, own: Tensor, other: Tensor, vectors: Tensor, bias: Tensor) -> Tensor:
    """(q + bias)·vectors[0] where segments own (B, S) and other (B, K) agree, else vectors[1]: (B, H, S, K).

    q (B, H, S, D), vectors (2, H, D), bias (H, D).
    """
    query = q + bias[:, None]
    same, another = ((query * vector[:, None]).sum(-1, keepdim=True) for vector in vectors)
    return torch.where((own[:, :, None] == other[:, None, :])[:, None], same, another)
