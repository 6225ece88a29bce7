"""Bringing a proposal under the budget by documented moves, or saying why it cannot be.

One move takes one hole to its next cheaper option. Holes are moved in turn, in an order drawn for the trial, first
those that change the largest memory term of the proposal, then the others; the repaired proposal is the first on that
walk that fits. What is cheaper is found once for each search, by asking for the memory of every option alone
(`Ladders`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from archspec.errors import InputError
from search.evaluator import Evaluator, Examined, Memory
from search.space import Place, SearchSpace, values_at
from store.records import Move

REMEMBERED = 500  # examined places; only their speed depends on it


@dataclass(frozen=True)
class Ladder:
    """The options of one hole by the memory they need, cheapest first, and the terms of the memory that they change."""

    order: tuple[int, ...]
    terms: frozenset[str]

    def cheaper(self, option: int) -> int | None:
        """The next cheaper option, None at the bottom; an option that costs the same as another is no move."""
        rung = self.order.index(option)
        return self.order[rung - 1] if rung else None


@dataclass
class Examiner:
    """Answers `examine` by place, each place once."""

    space: SearchSpace
    evaluator: Evaluator
    known: dict[Place, Examined | str] = field(default_factory=dict)

    def examine(self, place: Place) -> Examined | str:
        """What the evaluator says, or the rule that the spec breaks."""
        if place not in self.known:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            try:
                self.known[place] = self.evaluator.examine(self.space.fill(values_at(self.space, place)))
            except InputError as error:
                self.known[place] = str(error)
        return self.known[place]


def ladders(examiner: Examiner) -> list[Ladder]:
    """One ladder for each hole, found around the middle of the space, each option tried alone.

    An option that breaks a rule there keeps its place beside its neighbours as written. Errors: InputError if nothing
    in the middle or among first options is valid.
    """
    holes = examiner.space.holes
    base = _a_valid_place(examiner)
    found = []
    for index, hole in enumerate(holes):
        memories: list[Memory | None] = []
        for option in range(len(hole.options)):
            answer = examiner.examine((*base[:index], option, *base[index + 1 :]))
            memories.append(None if isinstance(answer, str) else answer.memory)
        found.append(_ladder(memories))
    return found


def _ladder(memories: list[Memory | None]) -> Ladder:
    known = [(option, memory) for option, memory in enumerate(memories) if memory is not None]
    totals = [memory.total for _, memory in known]
    terms = frozenset(term for term in known[0][1].terms if len({memory.terms.get(term, 0) for _, memory in known}) > 1)
    if len(set(totals)) <= 1:
        return Ladder(tuple(range(len(memories))), frozenset())
    options = [option for option, _ in known]
    estimate = np.interp(range(len(memories)), options, totals)
    return Ladder(tuple(int(option) for option in np.argsort(estimate, kind="stable")), terms)


def _a_valid_place(examiner: Examiner) -> Place:
    holes = examiner.space.holes
    for place in (tuple(len(hole.options) // 2 for hole in holes), tuple(0 for _ in holes)):
        answer = examiner.examine(place)
        if not isinstance(answer, str):
            return place
    raise InputError(
        f"the space has no valid spec at the first option of every hole: {answer}", source=examiner.space.name
    )


def smallest(examiner: Examiner, rungs: list[Ladder]) -> Place:
    """Every hole that changes memory at its cheapest option, the others at their first."""
    return tuple(ladder.order[0] if ladder.terms else 0 for ladder in rungs)


def walk(place: Place, rungs: list[Ladder], binding: str, rng: np.random.RandomState) -> Iterator[Place]:
    """`place`, then one move after another down to the cheapest place."""
    yield place
    movable = [index for index, ladder in enumerate(rungs) if ladder.terms]
    drawn = [movable[i] for i in rng.permutation(len(movable))]
    binding_first = [i for i in drawn if binding in rungs[i].terms]
    for turn in (binding_first, drawn):
        moved = True
        while moved:
            moved = False
            for index in turn:
                cheaper = rungs[index].cheaper(place[index])
                if cheaper is not None:
                    place = (*place[:index], cheaper, *place[index + 1 :])
                    moved = True
                    yield place


def first_fitting(path: list[Place], fits: Callable[[Place], bool]) -> Place | None:
    """The first place of a walk that fits, given that memory falls along it: by doubling steps, then halving them."""
    if fits(path[0]):
        return path[0]
    low, step = 0, 1  # path[low] does not fit
    while len(path) > 1:
        high = min(low + step, len(path) - 1)
        if fits(path[high]):
            break
        if high == len(path) - 1:
            return None
        low, step = high, step * 2
    else:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(path[middle]) else (middle, high)
    return path[high]


def moves(space: SearchSpace, before: Place, after: Place) -> tuple[Move, ...]:
    """The difference as it is stored."""
    return tuple(
        Move(hole.name, hole.options[a], hole.options[b])
        for hole, a, b in zip(space.holes, before, after, strict=True)
        if a != b
    )
