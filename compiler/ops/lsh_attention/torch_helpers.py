"""Text for generated files: attention by hashing (Reformer, arXiv 2001.04451)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def lsh_attention(
    x: Tensor, v: Tensor, real: Tensor | None, chunk: int, shifts: range, rounds: int, buckets: int, seed: int
) -> Tensor:
    """Shared queries and keys x (B, H, S, D), values v, real (B, S) or None: (B, H, S, D)."""
    length = x.shape[2]
    real = torch.ones(len(x), length, dtype=torch.bool, device=x.device) if real is None else real
    if length <= chunk:
        place = torch.arange(length, device=x.device).expand(*x.shape[:2], -1)
        return lsh_attend(x, lsh_keys(x), v, place, place, real)[0]
    short = -length % chunk
    x, v, real = F.pad(x, (0, 0, 0, short)), F.pad(v, (0, 0, 0, short)), F.pad(real, (0, short))
    total = length + short
    order = lsh_buckets(x, real, rounds, buckets, seed).flatten(2).argsort(dim=-1, stable=True)
    place = order % total
    q, k, values = (t.take_along_dim(place[..., None], 2).unflatten(2, (-1, chunk)) for t in (x, lsh_keys(x), v))
    at = place.unflatten(2, (-1, chunk))  # (B, H, chunks of all rounds, chunk)
    k, values, k_at = (torch.cat([t.roll(-shift, 2) for shift in shifts], 3) for t in (k, values, at))
    out, weight = lsh_attend(q, k, values, at, k_at, real)
    back = order.argsort(-1)
    out = out.flatten(2, 3).take_along_dim(back[..., None], 2).unflatten(2, (rounds, total))
    weight = weight.flatten(2, 3).take_along_dim(back, 2).unflatten(2, (rounds, total))
    return (out * torch.softmax(weight, 2)[..., None].to(out.dtype)).sum(2)[:, :, :length]


def lsh_keys(x: Tensor) -> Tensor:
    """Rows over their root mean square and sqrt(D)."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-6) / x.shape[-1] ** 0.5


def lsh_buckets(x: Tensor, real: Tensor, rounds: int, buckets: int, seed: int) -> Tensor:
    """Bucket of each row in each round (B, H, rounds, S), padding last, later rounds larger."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(x.shape[1], x.shape[-1], rounds, buckets // 2, generator=generator).to(x)
    turned = torch.einsum("bhtd,hdrn->bhrtn", x, directions)
    found = torch.cat((turned, -turned), -1).argmax(-1)
    found = torch.where(real[:, None, None], found, buckets)
    return found + torch.arange(rounds, device=x.device)[:, None] * (buckets + 1)


def lsh_attend(q: Tensor, k: Tensor, v: Tensor, q_at: Tensor, k_at: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and logarithms of softmax denominators; a row's own key counts only where there is no other."""
    scores = (q @ k.mT).to(torch.promote_types(q.dtype, torch.float32))
    seen = real[torch.arange(len(q), device=q.device).view(-1, *[1] * (k_at.dim() - 1)), k_at]
    visible = (q_at[..., :, None] >= k_at[..., None, :]) & seen[..., None, :]
    scores = scores.masked_fill(~visible, -1e9)
    scores = scores.masked_fill(q_at[..., :, None] == k_at[..., None, :], -1e5)
    weight = scores.logsumexp(-1)
    return torch.exp(scores - weight[..., None]).to(v.dtype) @ v, weight
