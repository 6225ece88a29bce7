"""Reference meaning of `adaptive_softmax`."""

import torch
from torch import Tensor

from compiler.ops.adaptive_embedding.shape import projected
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, others = inputs[0], len(attrs["cutoffs"])
    narrow = [x @ params[f"projection_{c}"] if projected(attrs) else x for c in range(others + 1)]
    scores = [y @ params[f"table_{c}"].T + params[f"bias_{c}"] for c, y in enumerate(narrow)]
    head = narrow[0] @ params["clusters"].T + params["cluster_bias"]
    first = torch.log_softmax(torch.cat([scores[0], head], -1), -1)
    parts = [first[..., : scores[0].shape[-1]]]
    for c in range(1, others + 1):
        share = first[..., scores[0].shape[-1] + c - 1, None]
        parts.append(share + torch.log_softmax(scores[c], -1))
    return (torch.cat(parts, -1),)
