"""Text for generated files: a clustered vocabulary (arXiv 1609.04309)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def adaptive_log_softmax(
    x: Tensor, parts: list[tuple[Tensor, Tensor, Tensor | None]], clusters: Tensor, cluster_bias: Tensor
) -> Tensor:
    """Log probabilities (B, S, vocabulary) of x (B, S, d).

    parts: table (ids, e), bias (ids,) and projection (d, e) of each cluster, None where e is d; clusters (n - 1, d): a
    row of the first cluster's scores for each other one.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    narrow = [x if projection is None else x @ projection for _, _, projection in parts]
    scores = [F.linear(y, table, bias) for y, (table, bias, _) in zip(narrow, parts, strict=True)]
    head = F.linear(narrow[0], clusters, cluster_bias)
    first = torch.log_softmax(torch.cat((scores[0], head), -1), -1, dtype=wide)
    own = scores[0].shape[-1]
    logs = [first[..., :own]]
    for c, score in enumerate(scores[1:]):
        logs.append(first[..., own + c, None] + torch.log_softmax(score, -1, dtype=wide))
    return torch.cat(logs, -1).to(x.dtype)
