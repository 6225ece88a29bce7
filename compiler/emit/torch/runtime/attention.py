"""Attention over the keys that the new tokens may see, with or without a state.

B batch, S new tokens, K keys looked at, H heads, G key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.emit.torch.runtime.state import State


class Span:
    """The new tokens and the keys that they may see: made once a pass, read by every layer with the same mask.

    i: slot of each new token (S,); j: slot of each key's token (K,), negative where a ring buffer is still empty.
    limit: slots that a cache keeps (None: all). window: causal within so many tokens (None: causal); where the mask is
    something else, rule(i (S, 1), j (1, K)) says what is visible; `prompt` is the rule of the first step only, behind
    which the mask is causal. real: (B, S) False at padding of the new tokens.
    """

    def __init__(
        self,
        state: State | None,
        real: Tensor | None,
        x: Tensor,
        limit: int | None = None,
        window: int | None = None,
        rule: Callable[[Tensor, Tensor], Tensor] | None = None,
        prompt: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        new, device = x.shape[1], x.device
        self.mask: Tensor | None = None  # (B|1, H|1, S, K), added to the scores
        self.causal = False  # the attention kernel hides what comes later
        self.joined = False  # several new tokens and a ring buffer: old and new keys side by side
        self.slots: Tensor | None = None  # where the caches keep the new keys
        self.keys = new  # keys looked at
        start: int | None = 0  # tokens before these, where that is known without asking the device
        static = False  # shapes must not depend on how many tokens there are
        self.i = torch.arange(new, device=device)
        self.j = self.i
        self.real = real
        if state is not None:
            size = state.max_length if limit is None else min(limit, state.max_length)
            static = state.static or torch.compiler.is_compiling()
            start = None if torch.compiler.is_compiling() else int(state.length)
            self.i = self.i + state.length.to(device)
            self.slots = self.i[-size:] % size
            self.real = state.real if state.padded else None
            if start != 0 and (new == 1 or size == state.max_length):  # every visible key is in its cache
                self.keys = size if static or start is None else min(size, start + new)
                slot = torch.arange(self.keys, device=device)
                self.j = slot if size == state.max_length else self.i[-1] - (self.i[-1] - slot) % size
            elif start == 0:
                self.j = self.i
            else:
                self.joined = True
                slot, last = torch.arange(size, device=device), self.i[0] - 1
                self.j = torch.cat((last - (last - slot) % size, self.i))
        if start == 0 or (start is None and new > 1):
            rule = prompt or rule
        if rule is None and self.real is None and (start == 0 or not static):
            one_view = new == 1 and self.keys <= (window or self.keys)
            if one_view or (start == 0 and new <= (window or new)):
                self.causal = not one_view  # one token sees every key that is there
                return
        i, j = self.i[:, None], self.j[None, :]
        visible = (j <= i) & (j >= 0)
        if rule is not None:
            visible = rule(i, j) & (j >= 0)
        elif window is not None:
            visible = visible & (j > i - window)
        visible = visible[(None,) * (4 - visible.dim())]  # (1, H|1, S, K)
        if self.real is not None:
            visible = visible & self.real[:, self.j.clamp(min=0)][:, None, None, :]
        self.mask = torch.zeros((), dtype=x.dtype, device=device).where(visible, float("-inf"))

    def keep(self, cache: Tensor | None, new: Tensor) -> Tensor:
        """Put new keys or values (B, G, S, D) into their cache; gives all that the new tokens may see (B, G, K, D)."""
        if cache is None or self.slots is None:
            return new
        seen = torch.cat((cache, new), 2) if self.joined else cache
        cache.index_copy_(2, self.slots, new[:, :, -len(self.slots) :])
        if self.joined:
            return seen
        return new if self.j is self.i else cache[:, :, : self.keys]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """softmax(scale · q kᵀ + mask) v: q (B, H, S, D), k and v (B, G, K, D) -> (B, H, S, D)."""
    b, heads, new, _ = q.shape
    groups = k.shape[1]
    if new == 1 and heads > groups and (mask is None or mask.shape[1] == 1):
        # One token: the heads that share a key are rows of one product, so nothing is repeated.
        y = F.scaled_dot_product_attention(q.reshape(b, groups, heads // groups, -1), k, v, mask, scale=scale)
        return y.reshape(b, heads, 1, -1)
    grouped = heads > groups
    if not causal or new <= 256 or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=grouped)
    parts = []  # the CPU kernel computes hidden scores too: 256 queries at a time, over the keys up to their end
    for start in range(0, new, 256):
        end = min(start + 256, new)
        later = torch.full((end - start, end), float("-inf"), dtype=q.dtype, device=q.device).triu(start + 1)
        block = q[:, :, start:end], k[:, :, :end], v[:, :, :end]
        parts.append(F.scaled_dot_product_attention(*block, later, scale=scale, enable_gqa=grouped))
    return torch.cat(parts, 2)


def attend_capped(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    scale: float,
    cap: float,
    bias: Tensor | float = 0.0,
) -> Tensor:
    """The same with scores cap · tanh((scores + bias) / cap) before the mask; a row that sees nothing gives zeros."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(2, 3) * scale  # (B, H, S, K)
    scores = torch.tanh((scores + bias) / cap) * cap
    if causal:
        hidden = torch.ones(scores.shape[2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    if mask is not None:
        scores = scores + mask
    shares = torch.softmax(scores, -1, dtype=torch.promote_types(q.dtype, torch.float32))
    return shares.nan_to_num(0.0).to(v.dtype) @ v


def padding_mask(real: Tensor | None, x: Tensor) -> Tensor | None:
    """What hides padded keys: real (B, K) -> (B, 1, 1, K), added to the scores."""
    if real is None:
        return None
    return torch.zeros((), dtype=x.dtype, device=x.device).where(real[:, None, None, :], float("-inf"))


def visible_mask(
    real: Tensor | None, x: Tensor, rule: Callable[[Tensor, Tensor], Tensor], empty_rows_see_all: bool = False
) -> Tensor:
    """What hides keys from queries, added to the scores: rule(i (S, 1), j (1, S)), real (B, S) -> (B|1, H|1, S, S)."""
    at = torch.arange(x.shape[1], device=x.device)
    visible = rule(at[:, None], at[None, :])
    visible = visible[(None,) * (4 - visible.dim())].expand(-1, -1, len(at), len(at))
    if real is not None:
        visible = visible & real[:, None, None, :]
    if empty_rows_see_all:
        visible = visible | ~visible.any(-1, keepdim=True)
    return torch.zeros((), dtype=x.dtype, device=x.device).where(visible, float("-inf"))


def add_bias(mask: Tensor | None, causal: bool, bias: Tensor) -> Tensor:
    """mask + bias (B|1, H, S, K); a causal pass over the new tokens alone gets its mask written out."""
    if causal:
        new = bias.shape[-1]
        later = torch.ones(new, new, dtype=torch.bool, device=bias.device).triu(1)
        return bias.masked_fill(later, float("-inf"))
    return bias if mask is None else mask + bias
