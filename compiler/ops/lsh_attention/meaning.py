"""Reference meaning of `lsh_attention`, dense within each ring of chunks."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.lsh_attention.shape import ALONE, HIDDEN


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, v, mask = inputs
    length, chunk = x.shape[2], attrs["chunk"]
    real = mask.bool() if mask.numel() else torch.ones(len(x), length, dtype=torch.bool)
    place = torch.arange(length).expand(*x.shape[:2], -1)
    if length <= chunk:
        out, _ = attend(x, keys(x), v, place, place, real)
        return (out,)
    rounds, short = attrs.get("rounds", 1), -length % chunk
    x, v = (torch.nn.functional.pad(t, (0, 0, 0, short)) for t in (x, v))
    real = torch.nn.functional.pad(real, (0, short))
    total = length + short
    order = buckets(x, real, attrs).flatten(2).argsort(dim=-1, stable=True)  # (B, H, rounds·S), round by round
    place = order % total
    ring = [t.take_along_dim(place[..., None], 2).unflatten(2, (-1, chunk)) for t in (x, keys(x), v)]
    at = place.unflatten(2, (-1, chunk))  # (B, H, chunks, chunk)
    shifts = range(1 - attrs.get("behind", 1), attrs.get("ahead", 0) + 1)
    k, values, k_at = (torch.cat([t.roll(-shift, 2) for shift in shifts], 3) for t in (ring[1], ring[2], at))
    out, weight = attend(ring[0], k, values, at, k_at, real)
    back = order.argsort(-1)
    out = out.flatten(2, 3).take_along_dim(back[..., None], 2).unflatten(2, (rounds, total))
    weight = weight.flatten(2, 3).take_along_dim(back, 2).unflatten(2, (rounds, total))
    return ((out * torch.softmax(weight, 2)[..., None]).sum(2)[:, :, :length],)


def keys(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() / x.shape[-1] ** 0.5


def buckets(x: Tensor, real: Tensor, attrs: Attrs) -> Tensor:
    """(B, H, rounds, S): numbers of later rounds are larger, padding comes last in each."""
    heads, rounds, count = x.shape[1], attrs.get("rounds", 1), attrs["buckets"]
    generator = torch.Generator().manual_seed(attrs.get("seed", 0))
    directions = torch.randn(heads, x.shape[-1], rounds, count // 2, generator=generator).to(x.dtype)
    turned = torch.einsum("bhtd,hdrn->bhrtn", x, directions)
    found = torch.cat([turned, -turned], -1).argmax(-1)
    found = torch.where(real[:, None, None], found, count)
    return found + torch.arange(rounds)[:, None] * (count + 1)


def attend(q: Tensor, k: Tensor, v: Tensor, q_at: Tensor, k_at: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs, and the logarithm of each row's softmax denominator. q_at, k_at: places in the sequence."""
    scores = q @ k.mT
    seen = real[torch.arange(len(q)).view(-1, *[1] * (k_at.dim() - 1)), k_at]
    visible = (q_at[..., :, None] >= k_at[..., None, :]) & seen[..., None, :]
    scores = scores.masked_fill(~visible, HIDDEN)
    scores = scores.masked_fill(q_at[..., :, None] == k_at[..., None, :], ALONE)
    weight = scores.logsumexp(-1)
    return torch.exp(scores - weight[..., None]) @ v, weight
