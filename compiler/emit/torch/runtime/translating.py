"""Models with source stacks: what is read once (`encode`), and an output stack that runs on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from compiler.emit.torch.runtime.base import Base
from compiler.emit.torch.runtime.state import State, stream_tokens


class Sources(Base):
    """The subclass gives `encode` and `run`."""

    source_names: tuple[str, ...] = ()  # inputs of `encode` besides input_ids and attention_mask

    def run(
        self,
        encoded: tuple[Tensor | None, ...],
        ids: Tensor,
        mask: Tensor | None,
        positions: Tensor | None,
        state: State | None = None,
        last: int | None = None,
        **others: Any,
    ) -> Tensor:
        raise NotImplementedError

    def encode(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **others: Any
    ) -> tuple[Tensor | None, ...]:
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        **others: Any,
    ) -> Tensor:
        """Source tokens (B, S source) and target tokens (B, S), masks with 0 at padding -> (B, S, ...)."""
        if decoder_input_ids is None:
            raise ValueError("decoder_input_ids are missing")
        source = {name: others.pop(name) for name in self.source_names if name in others}
        encoded = self.encode(input_ids, attention_mask, **source)
        return self.run(encoded, decoder_input_ids, decoder_attention_mask, decoder_position_ids, **others)


class WholeTranslating(Sources):
    """All target tokens at once: the subclass says why it cannot step."""

    refusal = ""

    def new_state(self, *_: Any, **__: Any) -> None:
        """Always refused."""
        raise RuntimeError(f"this model cannot run step by step: {self.refusal}")

    step = generate = stream = new_state

    @torch.no_grad()
    def demonstrate(self, vocabulary: int) -> str:
        """One pass over random ids, told."""
        ids = torch.randint(vocabulary, (1, 8), device=next(self.parameters()).device)
        out = self(ids, decoder_input_ids=ids)
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
        if not encoded or any(x is not None and x.shape[0] != batch_size for x in encoded):
            raise ValueError(f"a state needs what encode(...) gave for a batch of {batch_size}")
        device = next(self.parameters()).device
        caches = self.caches(batch_size, max_length)
        state = State(caches, batch_size, max_length, device, self.n_counters, self.compiled)
        state.encoded, state.held = encoded, self.hold(encoded)
        return state

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
        """Run any number of new target tokens on from `state` (changed in place): logits (B, S, vocabulary), state.

        attention_mask: (B, S) of the new tokens or (B, T) of all so far, 0 at padding. last: give the logits of the
        last so many tokens only.
        """
        return self.run(state.encoded, input_ids, attention_mask, position_ids, state, last, **others), state

    @torch.no_grad()
    def stream(
        self,
        input_ids: Tensor,
        max_new_tokens: int,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        end_ids: tuple[int, ...] | None = None,
        **others: Tensor | None,
    ) -> Iterator[Tensor]:
        """New target ids (B,) one step at a time; a row that has ended repeats its last id. See `generate`."""
        if decoder_input_ids is None:
            raise ValueError("decoder_input_ids are missing: the ids that the target starts with")
        state = self.new_state(
            len(input_ids),
            decoder_input_ids.shape[1] + max_new_tokens,
            self.encode(input_ids, attention_mask, **others),
        )
        ends = self.end_ids if end_ids is None else end_ids
        yield from stream_tokens(self, state, decoder_input_ids, None, max_new_tokens, temperature, top_p, seed, ends)

    def generate(
        self, input_ids: Tensor, max_new_tokens: int, attention_mask: Tensor | None = None, **how: Any
    ) -> Tensor:
        """Target ids (B, start + new), those that `decoder_input_ids` start with included. Greedy at temperature 0.

        how: decoder_input_ids, temperature, top_p, seed, end_ids (other ones than the model's own, () for none).
        """
        new = list(self.stream(input_ids, max_new_tokens, attention_mask, **how))
        return torch.cat([how["decoder_input_ids"], *(ids[:, None] for ids in new)], 1)

    @torch.no_grad()
    def demonstrate(self, vocabulary: int) -> str:
        """One step on random ids, told."""
        ids = torch.randint(vocabulary, (1, 8), device=next(self.parameters()).device)
        logits, _ = self.step(ids[:, :1], self.new_state(1, 2, self.encode(ids)))
        return f"one step after 8 random source tokens: logits {tuple(logits.shape)} in {logits.dtype}"
