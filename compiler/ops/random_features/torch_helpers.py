"""Text for generated files: positive random features (arXiv 2009.14794, lemma 1)."""

import torch
from torch import Tensor

from compiler.emit.torch.runtime.scan import wide


def random_features(x: Tensor, projection: Tensor, eps: float, over_all: bool, real: Tensor | None = None) -> Tensor:
    """(exp(w x - |x|^2 / 2 - greatest) + eps) / sqrt(F) of x / D^(1/4): x (B, H, S, D), w (F, D) -> (B, H, S, F).

    over_all: the greatest w x is taken over all tokens, the real ones (B, S) where some are not, not each token's own.
    """
    scaled = wide(x) * x.shape[-1] ** -0.25
    projected = scaled @ wide(projection).T
    greatest = projected.amax(-1, keepdim=True)
    if over_all:
        if real is not None:
            greatest = greatest.masked_fill(~real[:, None, :, None], float("-inf"))
        greatest = greatest.amax(-2, keepdim=True)
    square = scaled.square().sum(-1, keepdim=True) / 2
    return ((torch.exp(projected - square - greatest) + eps) * len(projection) ** -0.5).to(x.dtype)
