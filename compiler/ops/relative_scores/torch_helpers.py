"""Text for generated files: scores with vectors by distance (arXiv 1803.02155, 1901.02860)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def all_distances(i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """Every distance i - j of queries i (S,) to keys j (K,) once (S + K - 1,), and the place of each pair's (S, K).

    Both are runs of whole numbers, in any order.
    """
    distance = i[:, None] - j[None, :]
    low = i[0] - j.max()
    return low + torch.arange(len(i) + len(j) - 1, device=i.device), distance - low


def near_distances(i: Tensor, j: Tensor, far: int) -> tuple[Tensor, Tensor]:
    """The same for the distances from 0 to below `far` alone (R,): a pair further apart, or hidden, takes another's."""
    count = min(far, len(j))
    return torch.arange(count, device=i.device), (i[:, None] - j[None, :]).clamp(0, count - 1)


def given_distances(i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """The same for queries at i (B, S) and keys at j (B, K), any whole numbers: distances (R,), places (B, S, K)."""
    distance = i[:, :, None] - j[:, None, :]
    low, high = torch.aminmax(distance)
    return torch.arange(int(low), int(high) + 1, device=i.device), distance - low


def spaced_distances(x: Tensor, new: int, keys: int, spacing: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Distances of queries to keys that stand at first + stride * n (R,), and the place of each pair's (new, keys).

    spacing: [stride, first] of queries and of keys; x gives the device.
    """
    (q_stride, q_first), (k_stride, k_first) = spacing
    low, step = q_first - k_first - k_stride * (keys - 1), math.gcd(q_stride, k_stride)
    high = q_first - k_first + q_stride * (new - 1)
    behind = q_stride * torch.arange(new, device=x.device), k_stride * torch.arange(keys, device=x.device).flip(0)
    return torch.arange(low, high + 1, step, device=x.device), (behind[0][:, None] + behind[1]) // step


def without_first(scores: Tensor) -> Tensor:
    """Zero for the first query and for the first key: ([B,] H, S, K)."""
    return F.pad(scores[..., 1:, 1:], (1, 0, 1, 0))


def waves(distances: Tensor, inverse: Tensor, x: Tensor, clamp: int | None = None, halves: bool = True) -> Tensor:
    """[sin | cos] or sin, cos, ... of the distances (R,): (R, width) in the type of x."""
    if clamp is not None:
        distances = distances.clamp(-clamp, clamp)
    angle = distances[:, None] * inverse
    parts = (angle.sin(), angle.cos())
    return (torch.cat(parts, -1) if halves else torch.stack(parts, -1).flatten(-2)).to(x.dtype)


def lasting_waves(
    model: nn.Module, name: str, far: int, inverse: Tensor, x: Tensor, clamp: int | None = None, halves: bool = True
) -> Tensor:
    """The waves of the distances below `far`, made at their first use and kept while type and device stay."""
    found: Tensor | None = model.__dict__.get(name)
    if found is None or found.dtype != x.dtype or found.device != x.device:
        found = model.__dict__[name] = waves(torch.arange(far, device=x.device), inverse, x, clamp, halves)
    return found


def heads_of(x: Tensor, heads: int) -> Tensor:
    """(R, H·D) -> (H, R, D)."""
    return x.unflatten(-1, (heads, -1)).transpose(0, 1)


def score_by_distance(x: Tensor, vectors: Tensor, place: Tensor) -> Tensor:
    """x (B, H, S, D) with the vector of each pair's distance: vectors (R, D) or (H, R, D), place ([B,] S, K)."""
    scores = x @ vectors.mT  # (B, H, S, R)
    return scores.gather(-1, (place if place.dim() == 2 else place[:, None]).expand(*scores.shape[:2], -1, -1))


def score_by_wave(x: Tensor, weight: Tensor, waves: Tensor, place: Tensor) -> Tensor:
    """x (B, H, S, D) with the projected wave of each pair's distance: weight (H·D, W), waves (R, W), place ([B,] S, K).

    Few rows go through the weights first, which is less than projecting every distance; the sums are the same.
    """
    (b, heads, new, d), (count, width) = x.shape, waves.shape
    weight = weight.unflatten(0, (heads, d))  # (H, D, W)
    if b * new * (d * width + count * width - count * d) < count * width * d:
        return score_by_distance(x @ weight, waves, place)  # (B, H, S, W)
    return score_by_distance(x, (weight @ waves.mT).mT, place)  # (H, R, D)


def number_by_distance(numbers: Tensor, place: Tensor) -> Tensor:
    """The number of each pair's distance: numbers (H, R), place ([B,] S, K) -> ([B,] H, S, K)."""
    found = numbers[:, place]
    return found if place.dim() == 2 else found.transpose(0, 1)
