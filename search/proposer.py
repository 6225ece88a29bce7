"""Proposals in batches: uniform architectures first, then a sampler that learns from the finished ones, through
Optuna's ask and tell.

A batch is proposed before any of it is judged, and depends on earlier batches alone. So a search that stopped
anywhere is taken up by proposing again, from the first batch on, with the stored outcomes in place of new judgements.
"""

from collections.abc import Iterator, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import Trial as OptunaTrial
from optuna.trial import TrialState

from search.assess import Proposal
from search.front_sampler import PLACE
from search.judge import Judged
from search.samplers import SAMPLERS, distributions
from search.seeds import trial_seed
from search.space import SearchSpace
from search.uniform import share_of_budget, uniform_places

BATCH = 50

UNIFORM, EVOLVED = "uniform", "evolved"


class Proposer:
    """`ask` gives the next batch, `tell` takes what became of it."""

    def __init__(self, space: SearchSpace, sampler: str, seed: int, budget_bytes: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._names = [hole.name for hole in space.holes]
        self._distributions: dict[str, BaseDistribution] = {**distributions(space)}
        self._make_sampler = SAMPLERS[sampler](space)
        self._uniform = uniform_places(space, seed)
        self._seed, self._budget = seed, budget_bytes
        self._study = optuna.create_study(
            directions=["maximize", "minimize", "maximize"], sampler=RandomSampler(seed=0)
        )
        self._asked: list[OptunaTrial] = []
        self._next = 0

    def ask(self) -> list[Proposal]:
        """The next BATCH proposals."""
        numbers = range(self._next, self._next + BATCH)
        self._next += BATCH
        proposals = [self._propose(number) for number in numbers]
        self._asked = [trial for _, trial in proposals]
        return [proposal for proposal, _ in proposals]

    def _propose(self, number: int) -> tuple[Proposal, OptunaTrial]:
        uniform = number < len(self._uniform)
        seed = trial_seed(self._seed, number)
        target = self._budget
        if uniform:
            self._study.sampler = RandomSampler(seed=seed)
            self._study.enqueue_trial(dict(zip(self._names, self._uniform[number], strict=True)))
            target = int(self._budget * share_of_budget(number, len(self._uniform), self._seed))
        else:
            self._study.sampler = self._make_sampler(seed)
        trial = self._study.ask(self._distributions)
        place = tuple(trial.params[name] for name in self._names)
        return Proposal(number, UNIFORM if uniform else EVOLVED, place, target), trial

    def tell(self, judged: Sequence[Judged]) -> None:
        """What became of the batch asked last, in its order. New feasible trials count, all others only as tried."""
        for trial, outcome in self._pairs(judged):
            if outcome.objectives is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                trial.set_user_attr(PLACE, list(outcome.place))
                self._study.tell(trial, outcome.objectives)

    def _pairs(self, judged: Sequence[Judged]) -> Iterator[tuple[OptunaTrial, Judged]]:
        if len(judged) != len(self._asked):
            raise ValueError("a batch is told as a whole")
        return zip(self._asked, judged, strict=True)
