"""Runs a recipe on tensors."""

from collections.abc import Callable

import torch

from archspec.interop.recipe import (
    Concat,
    PermuteRope,
    Recipe,
    Reshape,
    Reverse,
    Select,
    Slice,
    Stack,
    Stored,
    Transpose,
)


def evaluate(recipe: Recipe, read: Callable[[str], torch.Tensor]) -> torch.Tensor:
    """The tensor a recipe makes, stored tensors being read by name. A view where it can be: see `contiguous`."""
    match recipe:
        case Stored(name):
            return read(name)
        case Slice(x, axis, start, stop):
            return evaluate(x, read).narrow(axis, start, stop - start)
        case Concat(parts, axis):
            return torch.cat([evaluate(part, read) for part in parts], axis)
        case Transpose(x, axes):
            return evaluate(x, read).permute(axes)
        case Reshape(x, shape):
            return evaluate(x, read).reshape(shape)
        case Stack(parts, axis):
            return torch.stack([evaluate(part, read) for part in parts], axis)
        case Select(x, axis, index):
            return evaluate(x, read).select(axis, index)
        case Reverse(x, axis):
            return evaluate(x, read).flip(axis)
        case PermuteRope(x, heads, to):
            rows = evaluate(x, read)  # (heads * d, ...)
            # interleaved: (heads, pair, side); half: (heads, side, pair)
            inner = (-1, 2) if to == "half" else (2, -1)
            return rows.reshape(heads, *inner, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)
