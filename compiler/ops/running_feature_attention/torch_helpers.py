"""Text for generated files: random features under a running maximum (arXiv 2009.14794, lemma 1)."""

import torch
from torch import Tensor

from compiler.emit.torch.runtime.scan import scan_heads, wide


def running_feature_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    real: Tensor | None,
    projection: Tensor,
    eps: float,
    s: Tensor | None,
    plain: Tensor | None,
    top: Tensor | None,
    seen: Tensor | None,
) -> Tensor:
    """What queries q (B, H, S, F) read of keys k (B, H, S, D) so far: sums over values, and the keys' own sum last.

    Their features are (exp(w k' - |k'|^2 / 2 - greatest w k' so far) + eps) / sqrt(F), k' = k / D^(1/4). v (B, H, S, V)
    -> (B, H, S, V + 1). real (B, S). Of earlier tokens, brought up to date: s (B, H, F, V + 1), the sum of
    exponentials with [v, 1]; plain (B, H, V + 1), that of [v, 1]; top (B, H), the greatest w k', where seen is 1.
    """
    scaled = wide(k) * k.shape[-1] ** -0.25
    exponents = scaled @ wide(projection).T  # (B, H, S, F)
    values = torch.cat((wide(v), torch.ones_like(exponents[..., :1])), -1)
    tops = exponents.amax(-1)  # (B, H, S)
    if real is not None:
        values = values * real[:, None, :, None]
        tops = tops.masked_fill(~real[:, None], float("-inf"))
    start = torch.full_like(tops[..., :1], float("-inf"))
    if top is not None and seen is not None:
        start = torch.where(seen > 0, top, float("-inf")).to(tops.dtype)[..., None]
    tops = torch.cat((start, tops), -1).cummax(-1).values  # (B, H, 1 + S)
    known = tops > float("-inf")  # before the first real token there is nothing to decay and nothing to write
    log_decay = torch.where(known[..., :-1], tops[..., :-1] - tops[..., 1:], 0.0)[..., None]
    less = scaled.square().sum(-1, keepdim=True) / 2
    raised = (exponents - tops[..., 1:, None]).clamp(max=0).sub(less).exp()
    y = scan_heads(q, raised, values, s, log_decay, None)
    sums = values.cumsum(2)
    if plain is not None and top is not None and seen is not None:
        sums = sums + plain[:, :, None]
        plain.copy_(sums[:, :, -1])
        top.copy_(torch.where(known[..., -1], tops[..., -1], 0.0))
        seen.copy_(known[..., -1])
    return (y + eps * wide(q).sum(-1, keepdim=True) * sums) * len(projection) ** -0.5


def features_shares(y: Tensor, q: Tensor, scale: float, eps: float | None, on_keys: bool) -> Tensor:
    """Sums over values, scaled and divided by the keys' own sum + eps: y (B, H, S, V + 1) -> (B, H, S, V).

    on_keys: eps counts once a feature of the query.
    """
    if eps is None:
        return (scale * y[..., :-1]).to(q.dtype)
    share = eps * wide(q).sum(-1, keepdim=True) if on_keys else eps
    return (scale * y[..., :-1] / (y[..., -1:] + share)).to(q.dtype)
