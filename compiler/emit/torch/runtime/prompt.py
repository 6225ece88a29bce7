"""A prompt's prefix, whose tokens see one another: what marks it, in the first step and later."""

from __future__ import annotations

import torch
from torch import Tensor

from compiler.emit.torch.runtime.state import State


def prompt_rows(marks: Tensor | None, ids: Tensor, name: str, state: State | None) -> Tensor:
    """Marks (B, S) of a prefix, all 0 where there are none; ValueError where they come behind the first step."""
    if marks is None:
        return torch.zeros(ids.shape[:2], dtype=torch.long, device=ids.device)
    if marks.shape != ids.shape[:2]:
        raise ValueError(f"{name} must have shape {tuple(ids.shape[:2])}, found {tuple(marks.shape)}")
    done = 0 if state is None or torch.compiler.is_compiling() else int(state.length)
    if done and bool(marks.any()):
        raise ValueError(f"a {name} is seen whole: it must come with the first step, {done} tokens are there already")
    return marks


def kept_prompt(marks: Tensor, state: State | None) -> Tensor:
    """Marks (B, S) of the first step, whatever the step."""
    if state is None:
        return marks
    if state.prompt is None:
        state.prompt = marks
    return state.prompt


def at_slots(rows: Tensor, j: Tensor) -> Tensor:
    """Marks of the first tokens (B, S) at slots j (1, K): (B, K), 0 where there is none."""
    inside = (j >= 0) & (j < rows.shape[1])
    return rows[:, j[0].clamp(0, rows.shape[1] - 1)] * inside
