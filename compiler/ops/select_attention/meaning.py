"""Reference meaning of `select_attention`."""

import torch
from torch import Tensor

from compiler.ops.attention.meaning import core
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, importance, mask = inputs
    length, block = q.shape[2], attrs["block"]
    own = torch.arange(-(-length // block))  # blocks, the last one perhaps not whole
    place = torch.arange(length)
    visible = torch.zeros(*importance.shape[:3], len(own), dtype=torch.bool)
    visible[..., : importance.shape[3]] = chosen(importance, attrs["count"], attrs.get("least_share", 0.0))
    visible = visible | (own == place[:, None] // block)
    visible = visible.repeat_interleave(block, -1)[..., :length] & (place <= place[:, None])  # (B, H or G, S, T)
    if mask.numel():
        visible = visible & mask.bool()[:, None, None, :]
    visible = visible.repeat_interleave(q.shape[1] // visible.shape[1], 1)
    return (core(q, k, v, visible, [], [], attrs["scale"], None),)


def chosen(importance: Tensor, count: int, least_share: float) -> Tensor:
    """Which blocks each query chooses."""
    shares = torch.softmax(importance, -1).nan_to_num(0.0)
    best = shares.topk(min(count, shares.shape[-1]), -1).indices
    return torch.zeros_like(shares, dtype=torch.bool).scatter(-1, best, True) & (shares > least_share)
