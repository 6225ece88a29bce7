"""Text for generated files: embeddings narrower for rarer tokens (arXiv 1809.10853)."""

import torch.nn.functional as F
from torch import Tensor


def embed_cluster(ids: Tensor, low: int, high: int, table: Tensor, projection: Tensor) -> Tensor:
    """Projected rows of the ids in [low, high), zero for the others: ids (B, S) -> (B, S, width)."""
    rows = F.linear(F.embedding((ids - low).clamp(0, high - low - 1), table), projection)
    return rows * ((ids >= low) & (ids < high))[..., None]
