"""Text for generated files: a clustered vocabulary (arXiv 1609.04309)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def adaptive_log_softmax(
    x: Tensor, parts: list[tuple[Tensor, Tensor, Tensor]], clusters: Tensor, cluster_bias: Tensor
) -> Tensor:
    """Log probabilities (B, S, vocabulary) of x (B, S, d).

    parts: table (ids, e), projection (d, e) and bias (ids,) of each cluster; clusters (n - 1, d): a row of the first
    cluster's scores for each other one.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    scores = [F.linear(x @ projection, table, bias) for table, projection, bias in parts]
    head = F.linear(x @ parts[0][1], clusters, cluster_bias)
    first = torch.log_softmax(torch.cat((scores[0], head), -1), -1, dtype=wide)
    own = scores[0].shape[-1]
    logs = [first[..., :own]]
    for c, score in enumerate(scores[1:]):
        logs.append(first[..., own + c, None] + torch.log_softmax(score, -1, dtype=wide))
    return torch.cat(logs, -1).to(x.dtype)
