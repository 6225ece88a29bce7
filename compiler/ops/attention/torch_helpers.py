"""Text for generated files: keys besides those of the sequence."""

import torch
from torch import Tensor


def with_extra_keys(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    extra: list[tuple[Tensor | None, Tensor | None, Tensor | None]],
) -> tuple[Tensor, Tensor, Tensor]:
    """Keys, values and mask with extra ones in front, seen by every query.

    q (B, H, S, D), k and v (B, G, K, D), mask added to the scores; extra: (k (B, G, E, D), v, real (B, E), or what is
    added to their scores (B|1, H|1, S, E), or None); one without keys counts for nothing.
    """
    if mask is None:
        mask = q.new_zeros(1, 1, q.shape[2], k.shape[2])
        if causal:
            mask = mask.masked_fill(
                torch.ones(mask.shape[2:], dtype=torch.bool, device=q.device).triu(1), float("-inf")
            )
    for more, values, real in extra:
        if more is None or values is None:
            continue
        hidden = q.new_zeros(1, 1, 1, more.shape[2])
        if real is not None and real.dim() == 4:
            hidden = real
        elif real is not None:
            hidden = hidden.masked_fill(~real.bool()[:, None, None, :], float("-inf"))
        heads, batch = max(mask.shape[1], hidden.shape[1]), max(mask.shape[0], hidden.shape[0])
        parts = (hidden.expand(batch, heads, mask.shape[2], -1), mask.expand(batch, heads, -1, -1))
        k, v, mask = torch.cat((more, k), 2), torch.cat((values, v), 2), torch.cat(parts, -1)
    return k, v, mask


def bias_beside(bias: Tensor, k: Tensor, every: Tensor) -> Tensor:
    """A bias (B|1, H|1, S, K) on the scores of keys k (B, G, K, D) among all of these (B, G, E + K, D)."""
    keys = k.shape[2]
    return torch.nn.functional.pad(bias.expand(*bias.shape[:-1], keys), (every.shape[2] - keys, 0))


def attend_beside(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    scale: float,
    sink: Tensor,
    cap: float | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """softmax over scale · q kᵀ + mask and one more score for each head, sink (H,), whose value is zero.

    q (B, H, S, D), k and v (B, G, K, D) -> (B, H, S, D); cap: bounds the scores and their bias before the mask. No key
    is copied: heads that share one are rows of one product, 256 queries at a time.
    """
    (b, heads, new, width), groups = q.shape, k.shape[1]
    wide, parts = torch.promote_types(q.dtype, torch.float32), []
    for start in range(0, new, 256):
        end = min(start + 256, new)
        keys = end if causal else k.shape[2]
        rows = q[:, :, start:end].reshape(b, groups, -1, width)
        scores = (rows @ k[:, :, :keys].mT).view(b, heads, end - start, keys).to(wide) * scale
        if bias is not None:
            scores = scores + bias.expand(-1, -1, new, k.shape[2])[:, :, start:end, :keys]
        if cap is not None:
            scores = torch.tanh(scores / cap) * cap
        if causal:
            scores = scores + scores.new_full(scores.shape[2:], float("-inf")).triu(start + 1)
        elif mask is not None:
            scores = scores + (mask if mask.shape[2] == 1 else mask[:, :, start:end])
        beside = sink.to(wide)[:, None, None].expand(b, heads, end - start, 1)
        shares = torch.softmax(torch.cat((scores, beside), -1), -1)[..., :-1].to(v.dtype)
        parts.append((shares.reshape(b, groups, -1, keys) @ v[:, :, :keys]).view(b, heads, end - start, -1))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def score_for_all(scores: Tensor) -> Tensor:
    """The score of one key that stands for several of the same value: scores (..., E) -> (..., 1)."""
    wide = torch.promote_types(scores.dtype, torch.float32)
    return scores.to(wide).logsumexp(-1, keepdim=True).to(scores.dtype)


def slots_between(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Slots (S, 1) of queries q (B, H, S, D), the last of which stands at the last key, and (1, K) of keys k."""
    new, total = q.shape[2], k.shape[2]
    return torch.arange(total - new, total, device=q.device)[:, None], torch.arange(total, device=q.device)[None, :]


def given_mask(seen: Tensor, real: Tensor | None, x: Tensor, empty_rows_see_all: bool = False) -> Tensor:
    """What hides keys of another stack, added to the scores: seen up to (B, H, S, K), real (B, K) or None."""
    seen = seen[(None,) * (4 - seen.dim())]
    if real is not None:
        seen = seen & real[:, None, None, :]
    if empty_rows_see_all:
        seen = seen | ~seen.any(-1, keepdim=True)
    return torch.zeros((), dtype=x.dtype, device=x.device).where(seen, float("-inf"))


def hiding(seen: Tensor, x: Tensor) -> Tensor:
    """What hides keys, added to the scores: seen up to (B, H, S, K), in the type of x."""
    seen = seen[(None,) * (4 - seen.dim())]
    return torch.zeros((), dtype=x.dtype, device=x.device).where(seen, float("-inf"))


def by_heads(masks: list[Tensor], i: Tensor, j: Tensor) -> Tensor:
    """Of each mask, up to (B, H, S, K), what its own head sees, or what all heads see: (B|1, H, S, K)."""
    wide = [m.expand(*m.shape[:-2], len(i), j.shape[1])[(None,) * (4 - m.dim())] for m in masks]
    own = [m[:, min(head, m.shape[1] - 1)] for head, m in enumerate(wide)]
    return torch.stack(torch.broadcast_tensors(*own), 1)


def drawn_blocks(drawn: Tensor, i: Tensor, j: Tensor, block: int) -> Tensor:
    """True where the block of key j (1, K) was drawn for that of query i (S, 1): (H, S, K).

    drawn (H, N, count): key blocks for each query block, -1 where there is none.
    """
    blocks = drawn.shape[1]
    if j.shape[1] > blocks * block:
        raise ValueError(f"the model takes {blocks * block} tokens, found {j.shape[1]}")
    among = (drawn[..., None] == torch.arange(blocks, device=i.device)).any(2)  # (H, N, N)
    return among[:, i // block, j // block]


def top_blocks(
    q: Tensor, k: Tensor, i: Tensor, j: Tensor, real: Tensor | None, block: int, count: int, best: bool = False
) -> Tensor:
    """True where key j (1, K) lies in one of the `count` blocks that query i (S, 1) chooses: (B, H, S, K).

    q (B, H, S, D), k (B, G, K, D) of slots 0, 1, ...; real (B, slots) False at padding. A query takes its own block and
    those before it whose mean key (best: whose best key) has the largest product with it (arXiv 2502.13189).
    """
    groups, keys = k.shape[1], k.shape[2]
    blocks = -(-keys // block)
    room = blocks * block - keys
    inside = torch.ones(1, keys, dtype=torch.bool, device=k.device) if real is None else real[:, j[0]]
    inside = torch.nn.functional.pad(inside, (0, room)).unflatten(1, (blocks, block))  # (B|1, N, block)
    q = q.unflatten(1, (groups, -1))  # (B, G, H/G, S, D)
    if best:
        gate = torch.nn.functional.pad(q @ k[:, :, None].mT, (0, room)).unflatten(-1, (blocks, block))
        gate = gate.masked_fill(~inside[:, None, None, None], float("-inf")).amax(-1)
    else:
        kept = torch.nn.functional.pad(k, (0, 0, 0, room)).unflatten(2, (blocks, block)) * inside[:, None, ..., None]
        wide = torch.promote_types(q.dtype, torch.float32)  # a choice by rounded scores would be another one
        means = kept.sum(3, dtype=wide) / inside.sum(-1).clamp(min=1)[:, None, :, None]  # (B, G, N, D)
        gate = q.to(wide) @ means[:, :, None].mT
    gate = gate.flatten(1, 2)  # (B, H, S, N)
    at, own = torch.arange(blocks, device=k.device), i // block
    gate = gate.masked_fill(~inside.any(-1)[:, None, None, :] | (at > own), float("-inf"))
    gate = gate.masked_fill(at == own, float("inf"))
    chosen = torch.zeros_like(gate, dtype=torch.bool)
    chosen = chosen.scatter(-1, gate.topk(min(count, blocks), -1).indices, True) & (gate > float("-inf"))
    return chosen[..., j[0] // block]
