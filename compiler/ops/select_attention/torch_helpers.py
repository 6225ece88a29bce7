"""Text for generated files: attention to chosen blocks of keys (arXiv 2502.11089, section 3.3.2).

B batch, S queries, H heads, G key/value heads, D head size, K keys so far, C heads that choose, n blocks to choose.
"""

import torch
from torch import Tensor

from compiler.emit.torch.runtime.attention import attend


def attend_selected(
    q: Tensor, k: Tensor, v: Tensor, importance: Tensor, i: Tensor, real: Tensor | None, block: int, count: int,
    least: float, scale: float,
) -> Tensor:  # fmt: skip
    """q (B, H, S, D) at slots i (S,), k and v (B, G, K, D), importance (B, C, S, n) -> (B, H, S, D).

    real (B, T): False at padding. least: blocks of no larger share of a softmax over importance are not chosen.
    """
    new, keys = q.shape[2], k.shape[2]
    if new > 256:  # masks of 256 queries at a time
        cuts = zip(q.split(256, 2), importance.split(256, 2), i.split(256), strict=True)
        parts = [attend_selected(x, k, v, found, at, real, block, count, least, scale) for x, found, at in cuts]
        return torch.cat(parts, 2)
    shares, blocks = torch.softmax(importance, -1).nan_to_num(0.0).topk(min(count, importance.shape[-1]), -1)
    kept = shares > least  # (B, C, S, count)
    if new * (count + 1) * block < keys:
        return attend_gathered(q, k, v, blocks, kept, i, real, block, scale)
    total = -(-keys // block)
    chosen = torch.zeros(*importance.shape[:3], total, dtype=torch.bool, device=q.device).scatter(-1, blocks, kept)
    chosen = chosen | (torch.arange(total, device=q.device) == (i // block)[:, None])
    visible = chosen.repeat_interleave(block, -1)[..., :keys] & (torch.arange(keys, device=q.device) <= i[:, None])
    if real is not None:
        visible = visible & real[:, None, None, :keys]
    visible = visible.repeat_interleave(q.shape[1] // visible.shape[1], 1)
    mask = torch.zeros((), dtype=q.dtype, device=q.device).where(visible, float("-inf"))
    return attend(q, k, v, mask, False, scale)


def attend_gathered(
    q: Tensor, k: Tensor, v: Tensor, blocks: Tensor, kept: Tensor, i: Tensor, real: Tensor | None, block: int,
    scale: float,
) -> Tensor:  # fmt: skip
    """The same for few queries: the keys of the chosen blocks (B, C, S, count) and of the own one are read alone."""
    batch, choosers = blocks.shape[:2]
    own = (i // block)[:, None].expand(batch, choosers, -1, -1)
    at = torch.cat((blocks, own), -1)[..., None] * block + torch.arange(block, device=q.device)
    visible = torch.cat((kept, torch.ones_like(own, dtype=torch.bool)), -1)[..., None] & (at <= i[:, None, None])
    at, visible = at.flatten(3).clamp(max=k.shape[2] - 1), visible.flatten(3)  # (B, C, S, (count + 1) * block)
    row = torch.arange(batch, device=q.device)[:, None, None, None]
    if real is not None:
        visible = visible & real[row, at]
    head = torch.arange(choosers, device=q.device)[:, None, None] * k.shape[1] // choosers
    each = q.unflatten(1, (choosers, -1)).transpose(2, 3)  # (B, C, S, H/C, D)
    scores = (each @ k[row, head, at].mT * scale).masked_fill(~visible[..., None, :], float("-inf"))
    shares = torch.softmax(scores, -1, dtype=torch.promote_types(q.dtype, torch.float32)).nan_to_num(0.0)
    return (shares.to(v.dtype) @ v[row, head, at]).transpose(2, 3).flatten(1, 2)
