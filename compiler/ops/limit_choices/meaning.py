"""Reference meaning of `limit_choices`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.limit_choices.shape import places


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    weights = _placed(inputs[0], inputs[1], attrs)
    if (share := attrs.get("share")) is not None:
        total = weights.sum(-1, keepdim=True) + share
        weights = weights / total.masked_fill(total == 0, 1)
    return (weights,)


def _placed(weights: Tensor, index: Tensor, attrs: Attrs) -> Tensor:
    capacity, above = attrs.get("capacity"), attrs.get("above")
    if above is not None:
        later = torch.arange(weights.shape[-1]) > 0
        weights = weights.masked_fill(later & (weights <= above), 0.0)
    if capacity is None:
        return weights
    shape = weights.shape
    if capacity.get("over", "sequence") == "batch":
        weights, index = weights.flatten(0, 1)[None], index.flatten(0, 1)[None]
    limit = places(capacity, weights.shape[1], attrs["n_experts"])
    taken = torch.zeros(len(weights), 1, attrs["n_experts"], dtype=torch.long)
    kept = []
    for choice in range(weights.shape[-1]):
        asks = torch.nn.functional.one_hot(index[..., choice], attrs["n_experts"])  # (B, S, E)
        if above is not None and choice > 0:
            asks = asks * (weights[..., choice] > 0)[..., None]
        fits = (asks * (taken + asks.cumsum(1) <= limit)).sum(-1)
        kept.append(weights[..., choice] * fits)
        taken = taken + asks.sum(1, keepdim=True)
    return torch.stack(kept, -1).reshape(shape)
