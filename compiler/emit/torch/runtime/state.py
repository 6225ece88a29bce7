"""What a step needs of the tokens before it, and running step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from compiler.emit.torch.runtime.base import Base, real_tokens


class State:
    """The tokens so far: caches by layer (one tensor for each layer and side), padding, and how many there were."""

    def __init__(
        self,
        caches: list[list[Tensor]],
        batch: int,
        max_length: int,
        device: torch.device,
        n_counters: int,
        static: bool,
    ) -> None:
        self.caches = caches
        self.batch, self.max_length = batch, max_length
        self.length = torch.zeros((), dtype=torch.long)  # on the CPU, so that reading it waits for no device
        self.real = torch.ones(batch, max_length, dtype=torch.bool, device=device)  # False at padding
        self.padded = False  # whether there is any
        self.static = static  # caches are looked at whole, so that shapes stay as they are from step to step
        self.encoded: tuple[Tensor | None, ...] = ()  # outputs of source stacks, and their padding
        self.held: list[list[Tensor]] = []  # keys and values made of them, by layer
        self.counters = [torch.zeros(batch, 1, dtype=torch.long, device=device) for _ in range(n_counters)]

    def take(self, ids: Tensor, real: Tensor | None) -> None:
        """Make room for new tokens; ValueError where there is none."""
        new = ids.shape[1]
        if ids.shape[0] != self.batch:
            raise ValueError(f"the state holds a batch of {self.batch}, input_ids has {ids.shape[0]} rows")
        if not torch.compiler.is_compiling() and int(self.length) + new > self.max_length:
            raise ValueError(
                f"the state holds {self.max_length} tokens: {int(self.length)} are there, {new} more do not fit"
            )
        if real is not None:
            self.padded = True
            self.real.index_copy_(1, self.length.to(ids.device) + torch.arange(new, device=ids.device), real)


def real_new_tokens(mask: Tensor | None, ids: Tensor, name: str, state: State | None) -> Tensor | None:
    """The same for the new tokens of a step: the mask may cover all tokens so far, of which the last S are taken."""
    if mask is None or state is None or mask.dim() != 2:
        return real_tokens(mask, ids, name)
    new = ids.shape[1]
    total = mask.shape[1] if torch.compiler.is_compiling() else int(state.length) + new
    if mask.shape[1] not in (new, total):
        raise ValueError(f"{name} must have shape {(len(ids), new)} or {(len(ids), total)}, found {tuple(mask.shape)}")
    return real_tokens(mask[:, -new:], ids, name)


class Stepping(Base):
    """A model that runs step by step: the subclass gives `run` and `caches`."""

    end_ids: tuple[int, ...] = ()  # generation stops at these
    n_counters = 0  # integers that a state carries for each row

    def run(
        self,
        ids: Tensor,
        mask: Tensor | None,
        positions: Tensor | None,
        state: State | None,
        last: int | None,
        **others: Tensor | None,
    ) -> Tensor:
        raise NotImplementedError

    def caches(self, batch: int, length: int) -> list[list[Tensor]]:
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        **others: Tensor | None,
    ) -> Tensor:
        """All tokens at once: input_ids (B, S), attention_mask (B, S) with 0 at padding -> (B, S, vocabulary)."""
        return self.run(input_ids, attention_mask, position_ids, None, None, **others)

    @torch.no_grad()
    def new_state(self, batch_size: int, max_length: int) -> State:
        """An empty state with room for `max_length` tokens, padding included."""
        if batch_size < 1 or max_length < 1:
            raise ValueError(f"a state needs a batch and a length of at least 1, found {batch_size} and {max_length}")
        device = next(self.parameters()).device
        return State(
            self.caches(batch_size, max_length), batch_size, max_length, device, self.n_counters, self.compiled
        )

    @torch.no_grad()
    def step(
        self,
        input_ids: Tensor,
        state: State,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        last: int | None = None,
        **others: Tensor | None,
    ) -> tuple[Tensor, State]:
        """Run any number of new tokens on from `state` (changed in place): logits (B, S, vocabulary) and the state.

        attention_mask: (B, S) of the new tokens or (B, T) of all so far, 0 at padding. last: give the logits of the
        last so many tokens only.
        """
        return self.run(input_ids, attention_mask, position_ids, state, last, **others), state

    @torch.no_grad()
    def stream(
        self,
        input_ids: Tensor,
        max_new_tokens: int,
        attention_mask: Tensor | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        end_ids: tuple[int, ...] | None = None,
    ) -> Iterator[Tensor]:
        """New ids (B,) one step at a time; a row that has ended repeats its last id. See `generate`."""
        ends = self.end_ids if end_ids is None else end_ids
        state = self.new_state(len(input_ids), input_ids.shape[1] + max_new_tokens)
        yield from stream_tokens(self, state, input_ids, attention_mask, max_new_tokens, temperature, top_p, seed, ends)

    def generate(
        self,
        input_ids: Tensor,
        max_new_tokens: int,
        attention_mask: Tensor | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        end_ids: tuple[int, ...] | None = None,
    ) -> Tensor:
        """Prompt and new ids (B, S + new). Greedy at temperature 0; pads on the left where rows differ in length.

        Stops when every row has met an end id (`end_ids`: other ones than the model's own, () for none).
        """
        new = list(self.stream(input_ids, max_new_tokens, attention_mask, temperature, top_p, seed, end_ids))
        return torch.cat([input_ids, *(ids[:, None] for ids in new)], 1)

    def demonstrate(self, vocabulary: int) -> str:
        """One step on random ids, told."""
        device = next(self.parameters()).device
        ids = torch.randint(vocabulary, (1, 8), device=device)
        logits, state = self.step(ids, self.new_state(1, 9))
        logits, state = self.step(logits[:, -1:].argmax(-1), state)
        return f"one step after 8 random tokens: logits {tuple(logits.shape)} in {logits.dtype}"


def choose(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> Tensor:
    """One id for each row (B,): the likeliest at temperature 0, else drawn from the likeliest that make up `top_p`."""
    if temperature <= 0:
        return logits.argmax(-1)
    shares = torch.softmax(logits.float() / temperature, -1)
    if top_p < 1:
        ordered, order = shares.sort(-1, descending=True)
        ordered = ordered.where(ordered.cumsum(-1) - ordered < top_p, 0.0)  # the first always stays
        return order.gather(-1, torch.multinomial(ordered, 1, generator=generator))[:, 0]
    return torch.multinomial(shares, 1, generator=generator)[:, 0]


def stream_tokens(
    model: Any,
    state: State,
    ids: Tensor,
    mask: Tensor | None,
    count: int,
    temperature: float,
    top_p: float,
    seed: int | None,
    ends: tuple[int, ...],
) -> Iterator[Tensor]:
    """`count` ids (B,) one step at a time, from `ids` on; a row that has met one of `ends` repeats its last id."""
    generator = None if seed is None else torch.Generator(ids.device).manual_seed(seed)
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    before: Tensor | None = None
    for _ in range(count):
        logits, state = model.step(ids, state, mask, last=1)
        chosen = choose(logits[:, -1], temperature, top_p, generator)
        if before is not None:
            chosen = torch.where(ended, before, chosen)
        yield chosen
        for end in ends:
            ended = ended | (chosen == end)
        if ends and bool(ended.all()):
            return
        before, ids, mask = chosen, chosen[:, None], None
