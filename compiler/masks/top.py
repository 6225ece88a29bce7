"""Key blocks that a query chooses by their scores: the reference meaning of `top_blocks`.

Source: MoBA, arXiv 2502.13189, section 2.2. Differences: padding is no key of its block, and `max_key`.
"""

import torch
from torch import Tensor

from compiler.masks.facts import Mask


def top_blocks(mask: Mask, q: Tensor, k: Tensor, real: Tensor | None, i: Tensor, j: Tensor) -> Tensor:
    """True where key j lies in a chosen block: (B, H, S, T).

    q (B, H, S, D), k (B, G, T, D), real (B, T) False at padding, i (S, 1) and j (1, T) slots. The own block is always
    chosen and counts; the others are blocks before it, by the dot product of the query with the block's mean key
    ("mean_key") or with its best key ("max_key"), neither scaled. Padding is no key of its block; a block of padding
    alone is never chosen. Each query head chooses for itself.
    """
    blocks = -(-k.shape[2] // mask["block"])
    scores = q @ k.repeat_interleave(q.shape[1] // k.shape[1], 1).mT  # (B, H, S, T)
    kept = torch.ones_like(scores[:, :1, :1], dtype=torch.bool) if real is None else real.bool()[:, None, None, :]
    gates = []
    for b in range(blocks):
        own, inside = scores[..., j[0] // mask["block"] == b], kept[..., j[0] // mask["block"] == b]
        if mask.get("score", "mean_key") == "mean_key":
            gate = (own * inside).sum(-1) / inside.sum(-1).clamp(min=1)
        else:
            gate = own.masked_fill(~inside, float("-inf")).amax(-1)
        gates.append(gate.masked_fill(~inside.any(-1), float("-inf")))
    gate = torch.stack(gates, -1)  # (B, H, S, blocks)
    block, own_block = torch.arange(blocks, device=k.device), i // mask["block"]
    gate = gate.masked_fill(block > own_block, float("-inf")).masked_fill(block == own_block, float("inf"))
    best = gate.topk(min(mask["count"], blocks), -1).indices
    chosen = torch.zeros_like(gate, dtype=torch.bool).scatter_(-1, best, True) & (gate > float("-inf"))
    return chosen[..., j[0] // mask["block"]]
