"""Text for generated files: embeddings narrower for rarer tokens (arXiv 1809.10853)."""

import torch.nn.functional as F
from torch import Tensor


def embed_cluster(ids: Tensor, low: int, high: int, table: Tensor, projection: Tensor | None = None) -> Tensor:
    """Projected rows of the ids in [low, high), zero for the others: ids (B, S) -> (B, S, width)."""
    rows = F.embedding((ids - low).clamp(0, high - low - 1), table)
    rows = rows if projection is None else F.linear(rows, projection)
    return rows * ((ids >= low) & (ids < high))[..., None]
