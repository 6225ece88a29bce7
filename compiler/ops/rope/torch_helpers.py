"""Text for generated files: rotary positions (arXiv 2104.09864)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from compiler.emit.torch.runtime.state import State


def text_length(positions: Tensor, state: State | None) -> int:
    """How long the text is: as many rows as there are or, in steps, as the state has room for."""
    return positions.shape[1] if state is None else state.max_length


def stretched(inverse: Tensor, powers: Tensor, lengths: float, factor: float) -> Tensor:
    """Frequencies (D/2,) in a text of so many times the length that they were made for (NTK by length)."""
    return inverse / (1 + factor * max(lengths - 1, 0)) ** powers


def rotary_halves(positions: Tensor, inverse: Tensor, dtype: torch.dtype, gain: float = 1.0) -> tuple[Tensor, Tensor]:
    """cos and signed sin for the pairs (i, i + D/2): positions (B, S), inverse (D/2,) -> each (B, 1, S, D)."""
    angle = positions[:, None, :, None] * inverse.to(dtype)
    cos, sin = angle.cos() * gain, angle.sin() * gain
    return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)


def turn_halves(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (i, i + D/2) of x (B, H, S, D) by its angle."""
    cos, sin = rope
    return (x * cos + x.roll(x.shape[-1] // 2, -1) * sin).to(x.dtype)


def rotary_pairs(positions: Tensor, inverse: Tensor, dtype: torch.dtype, gain: float = 1.0) -> tuple[Tensor, Tensor]:
    """cos and signed sin for the pairs (2i, 2i + 1): positions (B, S), inverse (D/2,) -> each (B, 1, S, D)."""
    angle = positions[:, None, :, None] * inverse.to(dtype)
    cos, sin = angle.cos() * gain, angle.sin() * gain
    return torch.stack((cos, cos), -1).flatten(-2), torch.stack((-sin, sin), -1).flatten(-2)


def turn_pairs(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (2i, 2i + 1) of x (B, H, S, D) by its angle."""
    cos, sin = rope
    swapped = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return (x * cos + swapped * sin).to(x.dtype)


def turn_part(
    turn: Callable[[Tensor, tuple[Tensor, Tensor]], Tensor],
    x: Tensor,
    rope: tuple[Tensor, Tensor],
    start: int,
    stop: int,
) -> Tensor:
    """Turn the slice start:stop of each head; the rest stays."""
    return torch.cat((x[..., :start], turn(x[..., start:stop], rope), x[..., stop:]), -1)
