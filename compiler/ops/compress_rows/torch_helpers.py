"""Text for generated files: slots of compressed rows (arXiv 1911.05507)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.emit.torch.runtime.state import State


class Slots:
    """Compressed slots that the new tokens may see: made once a pass, read by every layer with the same memory.

    Slot g is made of tokens g·rate to (g + 1)·rate - 1 and seen, while it is among the last `slots` of these, from
    segments that begin more than `after` tokens later. A cache is a ring of slots; a slot that is not finished is made
    anew by the next step, and nothing looks at it before.

    number: slots looked at (K,); near: each new token's place beside these numbers (S,), so that near - number is a
    distance; shift: what is added to distances to tokens (S,), see `oldest`; mask (B|1, 1, S, K), added to the scores.
    real: (B, S) False at padding of the new tokens. oldest: distances count from the far end of a full memory.
    """

    def __init__(
        self,
        state: State | None,
        real: Tensor | None,
        x: Tensor,
        segment: int,
        after: int,
        slots: int,
        rate: int,
        oldest: bool = False,
    ) -> None:
        new, device = x.shape[1], x.device
        i = torch.arange(new, device=device)
        self.rate, self.real = rate, real
        made = -(-new // rate)
        if state is not None:
            i = i + state.length.to(device)
            made = (new + 2 * rate - 2) // rate  # as many as there may be
            real = state.real if state.padded else None
        first = i[0] // rate
        self.fresh = first + torch.arange(made, device=device)  # slots that the new tokens go on with or begin
        self.begun = i[0] - first * rate  # rows of the first one that were there before
        self.number = self.fresh
        self.joined = made > 2  # more than the two places that a ring has to spare: old and fresh slots side by side
        if state is not None:
            size = slots + (segment + after) // rate + 1
            self.kept = self.fresh[-size:] % size  # where the caches keep them
            last = first - 1 if self.joined else self.fresh[-1]
            self.number = last - (last - torch.arange(size, device=device)) % size
            self.number = torch.cat((self.number, self.fresh)) if self.joined else self.number
        start = i // segment * segment
        evicted = (start - after).clamp(min=0)
        ready = evicted // rate
        self.near, self.shift = i - evicted + ready, torch.zeros_like(i)
        if oldest:
            self.shift = slots + after - ready.clamp(max=slots) - start.clamp(max=after)
            self.near = self.near + self.shift
        number, ready = self.number[None, :], ready[:, None]
        visible = ((number >= 0) & (number < ready) & (number >= ready - slots))[None, None]
        if real is not None:
            tokens = self.number[:, None] * rate + torch.arange(rate, device=device)
            there = (tokens >= 0) & (tokens < real.shape[1])
            some = (real[:, tokens.clamp(0, real.shape[1] - 1)] & there).any(-1)
            visible = visible & some[:, None, None, :]
        self.mask = torch.zeros((), dtype=x.dtype, device=device).where(visible, float("-inf"))

    def rows(self, h: Tensor, before: Tensor | None) -> Tensor:
        """The rows of each fresh slot: h (B, S, d) -> (B, slots, rate, d). before: rows of a slot that is not finished,
        the last rate - 1 (B, rate - 1, d), brought up to date."""
        if self.real is not None:
            h = h * self.real[..., None]
        count = len(self.fresh) * self.rate
        if before is None:
            return F.pad(h, (0, 0, 0, count - h.shape[1])).unflatten(1, (-1, self.rate))
        both = torch.cat((before, h), 1)
        before.copy_(both[:, h.shape[1] :])
        at = torch.arange(count, device=h.device) + self.rate - 1 - self.begun
        return both[:, at.clamp(max=both.shape[1] - 1)].unflatten(1, (-1, self.rate))

    def keep(self, cache: Tensor | None, new: Tensor) -> Tensor:
        """Put the keys or values of fresh slots (B, G, F, D) into their cache; gives those looked at (B, G, K, D)."""
        if cache is None:
            return new
        seen = torch.cat((cache, new), 2) if self.joined else cache
        cache.index_copy_(2, self.kept, new[:, :, -len(self.kept) :])
        return seen


def mix_rows(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One row of every `rate` by a convolution: rows (B, slots, rate, d), weight (d, d, rate) -> (B, slots, d)."""
    return F.linear(rows.mT.flatten(2), weight.flatten(1), bias)
