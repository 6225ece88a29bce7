"""What a step needs of the tokens before it, and running step by step."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from compiler.emit.torch.runtime.base import Base, real_tokens


class State:
    """The tokens so far: caches by layer (one tensor for each layer and side), padding, and how many there were."""

    owner: Any = None  # a reference to the model that made it; a copy is anybody's

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
        self.prompt: Tensor | None = None  # marks of the first step's tokens, where later ones look at them
        self.rows: dict[str, Tensor] = {}  # marks of all slots (B, max_length), by the input that told them
        self.counters = [torch.zeros(batch, 1, dtype=torch.long, device=device) for _ in range(n_counters)]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "owner"}

    def belong(self, model: Any) -> None:
        """ValueError if another model made this state."""
        if self.owner is not None and self.owner() is not model:
            raise ValueError("the state was made by another model: make one with new_state(...) of this model")

    def take(self, ids: Tensor, real: Tensor | None) -> None:
        """Make room for new tokens; ValueError where there is none."""
        new = ids.shape[1]
        if ids.shape[0] != self.batch:
            raise ValueError(f"the state holds a batch of {self.batch}, found {ids.shape[0]} rows")
        if not torch.compiler.is_compiling() and int(self.length) + new > self.max_length:
            raise ValueError(
                f"the state holds {self.max_length} tokens: {int(self.length)} are there, {new} more do not fit"
            )
        if real is not None or self.padded:
            self.padded = True
            real = self.real.new_ones(self.batch, new) if real is None else real
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


def check_step(model: Any, state: Any, last: int | None) -> None:
    """ValueError unless this is a state of the model and `last` a number of tokens."""
    if torch.compiler.is_compiling():
        return
    if not hasattr(state, "belong"):
        raise ValueError(f"a state is what new_state(...) gives, found {type(state).__name__}")
    state.belong(model)
    if last is not None and last < 1:
        raise ValueError(f"last must be at least 1, found {last}")


class Stepping(Base):
    """A model that runs step by step: the subclass gives `forward`, `run` and `caches`."""

    end_ids: tuple[int, ...] = ()  # generation stops at these
    n_counters = 0  # integers that a state carries for each row

    def run(
        self,
        ids: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        state: State | None = None,
        last: int | None = None,
        **others: Any,
    ) -> Tensor:
        raise NotImplementedError

    def caches(self, batch: int, length: int) -> list[list[Tensor]]:
        raise NotImplementedError

    @torch.no_grad()
    def new_state(self, batch_size: int, max_length: int) -> State:
        """An empty state with room for `max_length` tokens, padding included.

        Where a model turns a text by its length, it takes the text to be this long.
        """
        if batch_size < 1 or max_length < 1:
            raise ValueError(f"a state needs a batch and a length of at least 1, found {batch_size} and {max_length}")
        device = next(self.parameters()).device
        caches = self.caches(batch_size, max_length)
        state = State(caches, batch_size, max_length, device, self.n_counters, self.compiled)
        state.owner = weakref.ref(self)
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
        """Run any number of new tokens on from `state` (changed in place): logits (B, S, vocabulary) and the state.

        attention_mask: (B, S) of the new tokens or (B, T) of all so far, 0 at padding. last: give the logits of the
        last so many tokens only. others: further inputs of `forward`, of the new tokens.
        """
        check_step(self, state, last)
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
        **others: Any,
    ) -> Iterator[Tensor]:
        """New ids (B,) one step at a time; a row that has ended repeats its last id. See `generate`."""
        ends = self.end_ids if end_ids is None else end_ids
        check_generation(input_ids, max_new_tokens, temperature, top_p)
        state = self.new_state(len(input_ids), input_ids.shape[1] + max_new_tokens)
        how = (max_new_tokens, temperature, top_p, seed, ends)
        yield from stream_tokens(self, state, input_ids, attention_mask, *how, **others)

    def generate(
        self,
        input_ids: Tensor,
        max_new_tokens: int,
        attention_mask: Tensor | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        end_ids: tuple[int, ...] | None = None,
        **others: Any,
    ) -> Tensor:
        """Prompt and new ids (B, S + new). Greedy at temperature 0; pads on the left where rows differ in length.

        Stops when every row has met an end id (`end_ids`: other ones than the model's own, () for none).
        others: further inputs of `forward`, of the prompt; what they say of its last token holds for new ones too.
        """
        how = (temperature, top_p, seed, end_ids)
        new = list(self.stream(input_ids, max_new_tokens, attention_mask, *how, **others))
        return torch.cat([input_ids, *(ids[:, None] for ids in new)], 1)

    @torch.no_grad()
    def demonstrate(self) -> str:
        """A step over random tokens and one more, told."""
        given: dict[str, Any] = self.example()
        state, first, more = self.new_state(1, 9), next(iter(given)), later(self, given)
        out, state = self.step(given.pop(first), state, **given)
        rows = more.pop(first)
        out, _ = self.step(out[:, -1:].argmax(-1) if self.inputs[first][1] else rows, state, **more)
        return f"one step after 8 random tokens: output {tuple(out.shape)} in {out.dtype}"


def later(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The inputs of one more token: what was said of the last one; those that are not by token stay as they are.

    Marks over all tokens so far ("T") are a prompt's, and say nothing of what follows it. Of pairs (B, S, T) the new
    token sees what the last one saw, and itself as that one did.
    """
    shapes = {name: shape for name, (shape, _) in model.inputs.items()}
    given = {name: x for name, x in given.items() if shapes.get(name, ())[1:2] != ("T",)}
    by_token = {name for name, shape in shapes.items() if shape[1:2] == ("S",)}
    found = {name: x[:, -1:] if name in by_token and x is not None else x for name, x in given.items()}
    pairs = {name for name in found if shapes.get(name, ())[2:3] == ("T",)}
    return {name: torch.cat((x, x[..., -1:]), -1) if name in pairs else x for name, x in found.items()}


def check_generation(ids: Any, count: int, temperature: float, top_p: float) -> None:
    """ValueError where these say nothing."""
    if not isinstance(ids, Tensor):
        raise ValueError(f"input_ids must be a tensor (batch, tokens), found {type(ids).__name__}")
    if count < 0:
        raise ValueError(f"max_new_tokens must be at least 0, found {count}")
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, found {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, found {top_p}")


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
    **others: Any,
) -> Iterator[Tensor]:
    """`count` ids (B,) one step at a time, from `ids` on; a row that has met one of `ends` repeats its last id.

    others: inputs of the prompt besides ids and mask. Where places are numbered by slot, those of a padded prompt are
    the numbers of its real tokens, so that each row goes on as it would alone; `position_ids` among others are what
    the caller says instead, and new tokens count on from them.
    """
    if model.places:
        told = " and ".join(model.places)
        raise ValueError(f"where new tokens stand is not known: run them with step(...), which takes {told}")
    positions: Tensor | None = others.pop("position_ids", None)
    if positions is None and model.by_slot and mask is not None and not bool(mask.all()):
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)
    generator = None if seed is None else torch.Generator(ids.device).manual_seed(seed)
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    before: Tensor | None = None
    for _ in range(count):
        logits, state = model.step(ids, state, mask, positions, last=1, **others)
        chosen = choose(logits[:, -1], temperature, top_p, generator)
        if before is not None:
            chosen = torch.where(ended, before, chosen)
        yield chosen
        for end in ends:
            ended = ended | (chosen == end)
        if ends and bool(ended.all()):
            return
        before, ids, mask, others = chosen, chosen[:, None], None, later(model, others)
        positions = None if positions is None else positions[:, -1:] + 1
