"""Positions of tokens; in a step counted on from the state."""

from __future__ import annotations

import torch
from torch import Tensor

from compiler.emit.torch.runtime.state import State


def slots(ids: Tensor) -> Tensor:
    """0, 1, 2, ... by slot: (1, S)."""
    return torch.arange(ids.shape[1], device=ids.device)[None]


def counts_of_real(ids: Tensor, real: Tensor | None) -> Tensor:
    """Each token's number among the unpadded ones of its row, 0 at padding before them: (B|1, S)."""
    return slots(ids) if real is None else (real.cumsum(1) - 1).clamp(min=0)


def counts_of_nonpad(ids: Tensor, pad: int) -> Tensor:
    """1, 2, ... at ids other than `pad`, 0 at those: (B, S)."""
    real = (ids != pad).long()
    return real.cumsum(1) * real


def slots_from(ids: Tensor, state: State | None) -> Tensor:
    """0, 1, 2, ... by slot, counted on from the state: (1, S)."""
    return slots(ids) if state is None else slots(ids) + state.length.to(ids.device)


def counts_of_real_from(ids: Tensor, real: Tensor | None, state: State | None) -> Tensor:
    """Each token's number among the unpadded ones of its row, counted on from the state: (B|1, S)."""
    if state is None:
        return counts_of_real(ids, real)
    before = state.length.to(ids.device)
    if state.padded:
        earlier = torch.arange(state.max_length, device=ids.device) < before
        before = (state.real & earlier).sum(1, keepdim=True)  # (B, 1)
    if real is None:
        return before + slots(ids)
    return (before + real.cumsum(1) - 1).clamp(min=0)


def counts_of_nonpad_from(ids: Tensor, pad: int, counted: Tensor | None) -> Tensor:
    """1, 2, ... at ids other than `pad`, 0 at those: (B, S). counted (B, 1): so many before, updated."""
    if counted is None:
        return counts_of_nonpad(ids, pad)
    real = (ids != pad).long()
    number = real.cumsum(1) + counted
    counted.copy_(number[:, -1:])
    return number * real
