"""What marks the tokens that a mask speaks of: a prompt's prefix, whose tokens see one another, and inputs by token."""

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


def rows_so_far(rows: Tensor, name: str, state: State | None) -> Tensor:
    """Marks of all slots (B, N), into which those of the new tokens (B, S) are put; without a state they are all."""
    if state is None:
        return rows
    if name not in state.rows:
        state.rows[name] = rows.new_zeros(state.batch, state.max_length)
    kept, new = state.rows[name], torch.arange(rows.shape[1], device=rows.device)
    kept.index_copy_(1, state.length.to(rows.device) + new, rows.to(kept.dtype))
    return kept


def check_pairs(pairs: Tensor, ids: Tensor, name: str, state: State | None) -> None:
    """ValueError unless pairs (B, S, T) speak of the new tokens and of all so far, these included."""
    if torch.compiler.is_compiling():
        return
    new = ids.shape[1]
    shape = (ids.shape[0], new, new + (0 if state is None else int(state.length)))
    if pairs is None or pairs.shape != shape:
        found = "none" if pairs is None else tuple(pairs.shape)
        raise ValueError(f"{name} must have shape {shape}, new tokens and all so far, found {found}")


def at_slots(rows: Tensor, j: Tensor) -> Tensor:
    """Marks of the first tokens (B, N) at slots j (1, K): (B, K), 0 where there is none."""
    inside = (j >= 0) & (j < rows.shape[1])
    return rows[:, j[0].clamp(0, rows.shape[1] - 1)] * inside


def pairs_at(pairs: Tensor, j: Tensor) -> Tensor:
    """Of pairs (B, S, T) those with the keys at slots j (1, K): (B, S, K), 0 where there is none."""
    inside = (j >= 0) & (j < pairs.shape[2])
    return pairs[:, :, j[0].clamp(0, pairs.shape[2] - 1)] * inside
