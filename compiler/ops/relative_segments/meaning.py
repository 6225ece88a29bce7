"""Reference meaning of `relative_segments`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.relative_scores.meaning import without_first


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, own, other = inputs
    scores = torch.einsum("bhsd,nhd->nbhs", q + params["bias"][:, None], params["vectors"])[..., None]
    same = (own[:, :, None] == other[:, None, :])[:, None]  # (B, 1, S, T)
    found = torch.where(same, scores[0], scores[1])
    return (without_first(found) if attrs.get("skip_first") else found,)
