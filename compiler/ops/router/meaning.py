"""Reference meaning of `router`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    logits = inputs[0]
    match attrs.get("score", "softmax"):
        case "softmax":
            scores = torch.softmax(logits, -1)
        case "sigmoid":
            scores = torch.sigmoid(logits)
        case _:
            scores = logits
    choice = scores + params["select_bias"] if attrs.get("select_bias") else scores
    if attrs.get("groups"):
        choice = _keep_groups(choice, attrs)
    index = choice.topk(attrs["top_k"], -1).indices
    weights = scores.gather(-1, index)
    match attrs.get("weights", "as_scored"):
        case "sum_to_one":
            weights = weights / (weights.sum(-1, keepdim=True) + attrs.get("eps", 0))
        case "softmax_selected":
            weights = torch.softmax(weights, -1)
    return weights * attrs.get("scale", 1), index


def _keep_groups(choice: Tensor, attrs: Attrs) -> Tensor:
    grouped = choice.unflatten(-1, (attrs["groups"], -1))  # (B, S, groups, E/groups)
    best = grouped.amax(-1) if attrs["groups_score"] == "max" else grouped.topk(2, -1).values.sum(-1)
    kept = torch.zeros_like(best).scatter(-1, best.topk(attrs["groups_keep"], -1).indices, 1.0)
    return grouped.masked_fill(kept[..., None] == 0, float("-inf")).flatten(-2)
