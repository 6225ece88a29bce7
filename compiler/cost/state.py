"""What generation carries from token to token: caches, source caches, constant state."""

from dataclasses import dataclass

from compiler.cost.formats import Storage
from compiler.cost.sites import Site
from compiler.ir.types import size
from compiler.ops.base import Env, StateTensor


@dataclass(frozen=True, slots=True)
class Cache:
    """Bytes for one sequence.

    bytes_per_token: of the generating stack, while every layer still grows. cross_bytes_per_encoder_token: computed
    once from the source. constant_bytes: recurrent and convolution state, keys and values of a source of fixed length.
    at_context: all of it once `context` tokens are in; a layer whose mask bounds the past keeps a ring of that many.
    Counters of positions are left out.
    """

    bytes_per_token: int
    cross_bytes_per_encoder_token: int
    constant_bytes: int
    at_context: int


def state_bytes(state: StateTensor, env: Env, storage: Storage) -> int:
    """Bytes of one state tensor at these sizes; "T" counts the tokens seen, `limit` bounds it."""
    slots = -(-env["T"] // state.every)
    seen = slots if state.limit is None else min(slots, state.limit)
    here = {**env, "T": seen}
    return storage.state(state.dtype).bytes_of(tuple(size(dim, here) for dim in state.shape))


def carried(site: Site) -> tuple[StateTensor, ...]:
    """State that takes memory worth counting: counters of positions do not."""
    return tuple(state for state in site.state() if state.dtype != "int")


def count(found: tuple[Site, ...], env: Env, storage: Storage, can_step: bool) -> Cache:
    """`env`: sizes at the full context. A model that cannot step keeps nothing."""
    if not can_step:
        return Cache(0, 0, 0, 0)
    one = {**env, "B": 1}
    single = dict.fromkeys(one, 1)
    growing = cross = constant = total = 0
    for site in found:
        for state in carried(site):
            total += state_bytes(state, one, storage) * site.runs
            each = state_bytes(state, single, storage) * site.runs
            if state.kind == "cache":
                growing += each // state.every
            elif state.kind == "cross" and any(isinstance(dim, str) for dim in state.shape[1:]):
                cross += each
            else:
                constant += state_bytes(state, one, storage) * site.runs
    return Cache(growing, cross, constant, total)
