"""Positions of the new tokens, counted on from the state."""

from __future__ import annotations

import torch
from torch import Tensor

from compiler.emit.torch.runtime.state import State


def positions_in_order(ids: Tensor, state: State | None) -> Tensor:
    """0, 1, 2, ... by slot: (1, S)."""
    positions = torch.arange(ids.shape[1], device=ids.device)[None]
    return positions if state is None else positions + state.length.to(ids.device)


def positions_of_real(ids: Tensor, real: Tensor | None, state: State | None) -> Tensor:
    """Each token's number among the unpadded ones of its row, 0 at padding before them: (B|1, S)."""
    before: Tensor | int = 0
    if state is not None:
        before = state.length.to(ids.device)
        if state.padded:
            slots = torch.arange(state.max_length, device=ids.device)
            before = (state.real & (slots < before)).sum(1, keepdim=True)  # (B, 1)
    if real is None:
        return before + torch.arange(ids.shape[1], device=ids.device)[None]
    return (before + real.cumsum(1) - 1).clamp(min=0)


def positions_of_nonpad(ids: Tensor, pad: int, counted: Tensor | None) -> Tensor:
    """1, 2, ... at ids other than `pad`, 0 at those: (B, S). counted (B, 1): so many before, updated."""
    real = (ids != pad).long()
    number = real.cumsum(1)
    if counted is not None:
        number = number + counted
        counted.copy_(number[:, -1:])
    return number * real
