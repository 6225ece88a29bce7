"""Text for generated files: positive random features (arXiv 2009.14794, lemma 1)."""

import torch
from torch import Tensor

from compiler.emit.torch.runtime.scan import wide


def random_features(x: Tensor, projection: Tensor, eps: float, over_all: bool) -> Tensor:
    """(exp(w x - |x|^2 / 2 - greatest) + eps) / sqrt(F) of x / D^(1/4): x (B, H, S, D), w (F, D) -> (B, H, S, F).

    over_all: the greatest w x is taken over all tokens, not each token's own.
    """
    scaled = wide(x) * x.shape[-1] ** -0.25
    projected = scaled @ wide(projection).T
    greatest = projected.amax((-1, -2) if over_all else -1, keepdim=True)
    square = scaled.square().sum(-1, keepdim=True) / 2
    return ((torch.exp(projected - square - greatest) + eps) * len(projection) ** -0.5).to(x.dtype)
