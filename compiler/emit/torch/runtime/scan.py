"""States that never grow: what several scans share, exact and without a step for each token.

B batch, S new tokens, C tokens of a chunk, H heads, K key width, V value width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """x in float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def scan_heads(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor | None, log_decay: Tensor | None, beta: Tensor | None
) -> Tensor:
    """What each query reads of s = exp(log_decay) s + k vT: q, k (B, H, S, K), v (B, H, S, V) -> (B, H, S, V).

    state (B, H, K, V): s before the new tokens, set to s after them. log_decay (B|1, H, S, 1|K). beta (B, H, S, 1):
    k writes beta (v - s k), not v.
    """
    q, k, v = wide(q), wide(k), wide(v)
    s = q.new_zeros(*k.shape[:2], k.shape[3], v.shape[3]) if state is None else state.to(q.dtype)
    decay = q.new_zeros(1, 1, k.shape[2], 1) if log_decay is None else wide(log_decay)
    run = scan_chunk if k.shape[2] == 1 else scan_chunks
    y, s = run(q, k, v, s, decay, beta)
    if state is not None:
        state.copy_(s)
    return y


@torch.compiler.disable  # a loop over chunks: compiled, it would be unrolled anew for every length
def scan_chunks(
    q: Tensor, k: Tensor, v: Tensor, s: Tensor, log_decay: Tensor, beta: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`scan_chunk` over all tokens, so many at once: fewer where each key channel has its own decay."""
    size = 64 if log_decay.shape[-1] == 1 else 16
    out = []
    for start in range(0, k.shape[2], size):
        at = slice(start, start + size)
        strength = None if beta is None else beta[:, :, at]
        y, s = scan_chunk(q[:, :, at], k[:, :, at], v[:, :, at], s, log_decay[:, :, at], strength)
        out.append(y)
    return torch.cat(out, 2), s


def scan_chunk(
    q: Tensor, k: Tensor, v: Tensor, s: Tensor, log_decay: Tensor, beta: Tensor | None
) -> tuple[Tensor, Tensor]:
    """One chunk as matrix products: what its queries read (B, H, C, V), and s after it.

    Decays are only ever taken between two tokens, later minus earlier, so that nothing overflows.
    """
    total = log_decay.cumsum(2)  # since the chunk's start, the token's own included
    if beta is not None:
        # Each write takes off what s holds under its key, earlier writes of the chunk too: a triangular system.
        earlier = decayed_products(beta * k, k, total).tril(-1)
        v = beta * (v - (k * total.exp()) @ s)
        v = torch.linalg.solve_triangular(earlier, v, upper=False, unitriangular=True)
    y = (q * total.exp()) @ s + decayed_products(q, k, total) @ v
    left = k * (total[:, :, -1:] - total).exp()  # of each key at the chunk's end
    return y, total[:, :, -1, :, None].exp() * s + left.mT @ v


def decayed_products(q: Tensor, k: Tensor, total: Tensor) -> Tensor:
    """Query i by key j with the decay between them, 0 where j is later: (B, H, C, C)."""
    later = torch.ones(k.shape[2], k.shape[2], dtype=torch.bool, device=k.device).triu(1)
    decay = (total[:, :, :, None] - total[:, :, None]).masked_fill(later[..., None], float("-inf")).exp()
    if decay.shape[-1] == 1:
        return q @ k.mT * decay[..., 0]
    return (q[:, :, :, None] * decay * k[:, :, None]).sum(-1)
