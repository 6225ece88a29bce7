"""Text for generated files: attention to compressed keys, and the importance of blocks (arXiv 2502.11089, section 3.3).

B batch, S queries, H heads, G key/value heads, D head size, N compressed keys, M learned ones, C heads that choose.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attend_blocks(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, real: Tensor | None, learned: tuple[Tensor, Tensor] | None,
    block: int, stride: int, select: int, shared: bool, scale: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """q (B, H, S, D) at slots i (S,), k and v (B, G, N, D): values (B, H, S, D), importance (B, C, S, n) of n blocks.

    real (B, T): False at padding. learned: keys and values (G, M, D) that every query sees. shared: query heads of one
    key head choose together.
    """
    if q.shape[2] > 256:  # scores are held: of 256 queries at a time
        cuts = zip(q.split(256, 2), i.split(256), strict=True)
        parts = [attend_blocks(x, k, v, at, real, learned, block, stride, select, shared, scale) for x, at in cuts]
        return torch.cat([y for y, _ in parts], 2), torch.cat([found for _, found in parts], 2)
    groups, count, wide = k.shape[1], k.shape[2], torch.promote_types(q.dtype, torch.float32)
    ends = (torch.arange(count, device=q.device) + 1) * stride
    visible = (ends <= i[:, None])[None, None]  # (B|1, 1, S, N)
    if real is not None:
        total = F.pad(real.cumsum(1), (1, 0))
        ends = ends.clamp(max=real.shape[1])
        visible = visible & (total[:, ends] > total[:, (ends - block).clamp(min=0)])[:, None, None]
    each = q.unflatten(1, (groups, -1))  # (B, G, H/G, S, D)
    scores = (each @ k[:, :, None].mT * scale).to(wide)  # (B, G, H/G, S, N)
    seen = scores.masked_fill(~visible[:, :, None], float("-inf"))
    if learned is not None:
        seen = torch.cat(((each @ learned[0][:, None].mT * scale).to(wide), seen), -1)
    shares = torch.softmax(seen, -1).nan_to_num(0.0).to(v.dtype)
    y = shares[..., seen.shape[-1] - count :] @ v[:, :, None]
    if learned is not None:
        y = y + shares[..., : -count or None] @ learned[1][:, None]
    scores = scores.mean(2) if shared else scores.flatten(1, 2)
    inside = select // stride
    scores, visible = (t[..., : count // inside * inside].unflatten(-1, (-1, inside)) for t in (scores, visible))
    found = visible.sum(-1)
    importance = scores.masked_fill(~visible, 0.0).sum(-1) / found.clamp(min=1)
    whole = (torch.arange(count // inside, device=q.device) + 1) * select <= i[:, None]
    return y.flatten(1, 2), importance.masked_fill(~(whole & (found > 0)), float("-inf"))
