"""Text for generated files: Mamba-2's scan (arXiv 2405.21060)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.emit.torch.runtime.scan import scan_heads, wide


def scan_states(
    x: Tensor,
    dt: Tensor,
    b: Tensor,
    c: Tensor,
    a_log: Tensor,
    d: Tensor,
    dt_bias: Tensor,
    state: Tensor | None,
    groups: int,
    limit: tuple[float, float] | None = None,
) -> Tensor:
    """h = exp(dt A) h + dt b x, y = c h + d x with A = -exp(a_log): x (B, S, H*P), dt (B, S, H), b, c (B, S, G*N).

    state (B, H, P, N): h before the new tokens, set to h after them.
    """
    heads = len(a_log)
    values = wide(x).unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, S, P)
    step = F.softplus(wide(dt) + wide(dt_bias))
    if limit is not None:
        step = step.clamp(*limit)
    step = step.transpose(1, 2)[..., None]  # (B, H, S, 1)
    k, q = (r.unflatten(-1, (groups, -1)).transpose(1, 2).repeat_interleave(heads // groups, 1) for r in (b, c))
    decay = -torch.exp(wide(a_log))[:, None, None] * step
    y = scan_heads(q, k, values * step, None if state is None else state.mT, decay, None)
    return (y + wide(d)[:, None, None] * values).transpose(1, 2).flatten(2).to(x.dtype)
