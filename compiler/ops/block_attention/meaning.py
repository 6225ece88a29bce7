"""Reference meaning of `block_attention`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.compress_blocks.meaning import real_blocks
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, mask = inputs
    length, groups, learned = q.shape[2], k.shape[1], attrs.get("learned", 0)
    place = torch.arange(length)[:, None]
    ends = (torch.arange(k.shape[2]) + 1) * attrs["stride"]
    visible = (ends <= place).expand(len(q), 1, -1, -1)  # (B, 1, S, blocks)
    if mask.numel():
        visible = visible & real_blocks(mask.bool(), attrs["block"], attrs["stride"])[:, None, None, :]
    per = q.shape[1] // groups
    scores = q @ k.repeat_interleave(per, 1).mT * attrs["scale"]  # (B, H, S, blocks)
    seen = scores.masked_fill(~visible, float("-inf"))
    if learned:
        first = q @ params["learned_k"].repeat_interleave(per, 0).mT * attrs["scale"]
        seen = torch.cat([first, seen], -1)
        v = torch.cat([params["learned_v"].expand(len(v), -1, -1, -1), v], 2)
    y = torch.softmax(seen, -1).nan_to_num(0.0) @ v.repeat_interleave(per, 1)
    return y, importance(scores, visible, place, per, attrs)


def importance(scores: Tensor, visible: Tensor, place: Tensor, per: int, attrs: Attrs) -> Tensor:
    """Mean scores of the visible compressed keys that end in each selectable block, -inf where there is none."""
    inside = attrs["select"] // attrs["stride"]
    count = place.shape[0] // attrs["select"]
    if attrs.get("share") == "kv_group":
        scores = scores.unflatten(1, (-1, per)).mean(2)
    scores, visible = (t[..., : count * inside].unflatten(-1, (count, inside)) for t in (scores, visible))
    found = visible.sum(-1)
    mean = torch.where(visible, scores, 0.0).sum(-1) / found.clamp(min=1)
    whole = (torch.arange(count) + 1) * attrs["select"] <= place
    return mean.masked_fill(~(whole & (found > 0)), float("-inf"))
