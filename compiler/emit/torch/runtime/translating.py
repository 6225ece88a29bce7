"""Models with source stacks: what is read once (`encode`), and an output stack that runs on it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from compiler.emit.torch.runtime.base import Base, check_shape
from compiler.emit.torch.runtime.state import State, check_generation, check_step, later, stream_tokens


class Sources(Base):
    """The subclass gives `forward`, `encode` and `run`."""

    source_names: tuple[str, ...] = ()  # inputs of `encode`
    first_name = ""  # the input that `run` takes first
    crossing: tuple[tuple[int | str | None, ...], ...] = ()  # shapes of what `encode` gives

    def run(
        self,
        encoded: tuple[Tensor | None, ...],
        ids: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        state: State | None = None,
        last: int | None = None,
        **others: Any,
    ) -> Tensor:
        raise NotImplementedError

    def encode(self, *_: Any, **__: Any) -> tuple[Tensor | None, ...]:
        raise NotImplementedError


class WholeTranslating(Sources):
    """All target tokens at once: the subclass says why it cannot step."""

    refusal = ""

    def new_state(self, *_: Any, **__: Any) -> None:
        """Always refused."""
        raise RuntimeError(f"this model cannot run step by step: {self.refusal}")

    step = generate = stream = new_state

    @torch.no_grad()
    def demonstrate(self) -> str:
        """One pass over random inputs, told."""
        given = self.example()
        out = self(**given)
        return f"one pass over 8 random tokens: output {tuple(out.shape)} in {out.dtype}"


class Translating(Sources):
    """Step by step over the output stack; the sources are encoded once. The subclass gives `caches` and `hold` too."""

    end_ids: tuple[int, ...] = ()  # generation stops at these
    n_counters = 0  # integers that a state carries for each row

    def caches(self, batch: int, length: int) -> list[list[Tensor]]:
        raise NotImplementedError

    def hold(self, encoded: tuple[Tensor | None, ...]) -> list[list[Tensor]]:
        """Keys and values of the sources, for each layer."""
        raise NotImplementedError

    @torch.no_grad()
    def new_state(self, batch_size: int, max_length: int, encoded: tuple[Tensor | None, ...] = ()) -> State:
        """An empty state with room for `max_length` target tokens; `encoded` is what `encode` gave."""
        if batch_size < 1 or max_length < 1:
            raise ValueError(f"a state needs a batch and a length of at least 1, found {batch_size} and {max_length}")
        if not isinstance(encoded, tuple) or len(encoded) != len(self.crossing):
            raise ValueError(f"a state needs what encode(...) gave for a batch of {batch_size}")
        sizes = {"B": batch_size}
        for i, (x, shape) in enumerate(zip(encoded, self.crossing, strict=True)):
            if x is not None:
                check_shape(x, f"part {i} of what encode(...) gave", shape, sizes)
        device = next(self.parameters()).device
        caches = self.caches(batch_size, max_length)
        state = State(caches, batch_size, max_length, device, self.n_counters, self.compiled)
        state.encoded, state.held, state.owner = encoded, self.hold(encoded), weakref.ref(self)
        return state

    @torch.no_grad()
    def step(
        self,
        input_ids: Tensor,
        state: State,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        last: int | None = None,
        **others: Any,
    ) -> tuple[Tensor, State]:
        """Run any number of new target tokens on from `state` (changed in place): logits (B, S, vocabulary), state.

        attention_mask: (B, S) of the new tokens or (B, T) of all so far, 0 at padding. last: give the logits of the
        last so many tokens only. others: further inputs of `forward` that `encode` does not take, of the new tokens.
        """
        check_step(self, state, last)
        return self.run(state.encoded, input_ids, attention_mask, position_ids, state, last, **others), state

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
        **others: Any,
    ) -> Iterator[Tensor]:
        """New target ids (B,) one step at a time; a row that has ended repeats its last id. See `generate`."""
        check_generation(input_ids, max_new_tokens, temperature, top_p)
        every = {"input_ids": input_ids, "attention_mask": attention_mask, **others}
        given: dict[str, Any] = {name: x for name, x in every.items() if x is not None}
        encoded = self.encode(**{name: given.pop(name) for name in self.source_names if name in given})
        ids = given.pop(self.first_name, None)
        if ids is None:
            raise ValueError(f"{self.first_name} are missing: the ids that the target starts with")
        mask = given.pop(self.first_name.replace("input_ids", "attention_mask"), None)
        state = self.new_state(len(ids), ids.shape[1] + max_new_tokens, encoded)
        how = (max_new_tokens, temperature, top_p, seed, self.end_ids if end_ids is None else end_ids)
        yield from stream_tokens(self, state, ids, mask, *how, **given)

    def generate(self, input_ids: Tensor, max_new_tokens: int, *order: Any, **how: Any) -> Tensor:
        """Target ids (B, start + new), those that it starts with included. Greedy at temperature 0.

        order, how: as for `stream`: attention_mask, temperature, top_p, seed, end_ids (other ones than the model's own,
        () for none), and every other input of `forward` by name; what an input by token says of the last one that is
        given holds for new ones too.
        """
        new = list(self.stream(input_ids, max_new_tokens, *order, **how))
        start = input_ids if self.first_name == "input_ids" else how[self.first_name]
        return torch.cat([start, *(ids[:, None] for ids in new)], 1)

    @torch.no_grad()
    def demonstrate(self) -> str:
        """One step behind random sources, told."""
        given: dict[str, Any] = self.example()
        encoded = self.encode(**{name: given.pop(name) for name in self.source_names if name in given})
        given = later(self, given)
        out, _ = self.step(given.pop(self.first_name), self.new_state(1, 2, encoded), **given)
        return f"one step after 8 random source tokens: output {tuple(out.shape)} in {out.dtype}"
