"""What can be said about one proposal by itself: its repair under the budget and its evaluation.

No memory of other proposals goes in, so that any process may do it.
"""

from dataclasses import dataclass

from archspec.errors import InputError
from search.budget import shown_bytes
from search.evaluator import Evaluation, Evaluator, Examined, Memory
from search.repair import Examiner, Ladder, first_fitting, ladders, smallest, walk
from search.seeds import generator
from search.space import Place, SearchSpace
from store.records import Rejection


@dataclass(frozen=True)
class Proposal:
    """`target_bytes`: what a repair aims at; more is accepted up to the budget if nothing is smaller."""

    number: int
    phase: str
    place: Place
    target_bytes: int


@dataclass(frozen=True)
class Fitted:
    """A place whose examination fits; `examined_bytes` is what it found."""

    place: Place
    variant: str
    examined_bytes: int


class Assessor:
    """The same proposal gets the same answer, in whatever process and order."""

    def __init__(self, space: SearchSpace, evaluator: Evaluator, budget_bytes: int, seed: int) -> None:
        self.space, self.evaluator, self.budget_bytes, self.seed = space, evaluator, budget_bytes, seed
        self._examiner = Examiner(space, evaluator)
        self._rungs: list[Ladder] = ladders(self._examiner)

    def smallest(self) -> Fitted | None:
        """The cheapest spec; None if it breaks a rule."""
        place = smallest(self._examiner, self._rungs)
        answer = self._examiner.examine(place)
        return self._fitted(place, answer) if isinstance(answer, Examined) else None

    def fit(self, proposal: Proposal) -> Fitted | Rejection:
        """The proposal, or its repair that aims at its target and takes at most the budget."""
        return self.fit_within(proposal, min(proposal.target_bytes, self.budget_bytes), self.budget_bytes)

    def fit_within(self, proposal: Proposal, target: int, most: int) -> Fitted | Rejection:
        """The proposal or its repair that is examined to need at most `target` bytes, else at most `most`."""
        first = self._examiner.examine(proposal.place)
        if isinstance(first, str):
            return Rejection("rule", first)
        rng = generator(self.seed, proposal.number, "repair")
        path = list(walk(proposal.place, self._rungs, first.memory.binding, rng))
        for limit in dict.fromkeys((target, most)):
            place = first_fitting(path, lambda p, limit=limit: self._fits(p, limit))  # type: ignore[misc]
            if place is not None:
                answer = self._examiner.examine(place)
                assert isinstance(answer, Examined)
                return self._fitted(place, answer)
        return self.over_budget(first.memory, "and no smaller neighbour fits")

    def evaluate(self, place: Place) -> Evaluation | Rejection:
        """The whole evaluation of a place that was examined before."""
        answer = self._examiner.examine(place)
        if isinstance(answer, str):
            return Rejection("rule", answer)
        try:
            return self.evaluator.evaluate(answer)
        except InputError as error:
            return Rejection("unsupported", str(error))

    def over_budget(self, memory: Memory, why: str) -> Rejection:
        reason = (
            f"needs at least {shown_bytes(memory.total)}, the budget is {shown_bytes(self.budget_bytes)}; "
            f"{memory.binding} takes the most ({shown_bytes(memory.terms[memory.binding])}), {why}"
        )
        return Rejection("budget", reason, memory.binding, memory.total)

    def _fits(self, place: Place, limit: int) -> bool:
        answer = self._examiner.examine(place)
        return isinstance(answer, Examined) and answer.memory.total <= limit

    def _fitted(self, place: Place, examined: Examined) -> Fitted:
        return Fitted(place, self.evaluator.variant(examined), examined.memory.total)
