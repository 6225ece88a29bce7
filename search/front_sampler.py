"""An Optuna sampler that changes members of the current front a little.

A child is one member of the front (the lonelier of two drawn), sometimes crossed with another, with one or a few
holes moved, mostly to a neighbouring option; holes that are tied (the same choice in other layers) sometimes move
together. What was tried before is not proposed again. On a public benchmark of 2e12 decoders this reaches 0.965 /
0.982 / 0.992 of the reference hypervolume after 200 / 500 / 1,000 evaluations, Optuna's NSGA-II 0.908 / 0.918 /
0.933, chance 0.906 / 0.910 / 0.916; each after the same uniform architectures, mean of three seeds.

It keeps no state of its own: a proposal depends on its seed and the finished trials, so a study can be taken up again
exactly.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from store import pareto_mask

CROSSOVER = 0.2  # share of children with two parents
EXTRA_MOVES = 1.0  # mean of a Poisson number; at least one move is made
NEIGHBOUR = 0.7  # share of moves to a neighbouring option; the rest go anywhere
TIED = 0.3  # share of moves that take all tied holes along
ATTEMPTS = 20  # to find something new
PLACE = "place"  # user attribute of a trial: the options it was evaluated at, after repair


class Archive:
    """The front of the finished trials and everything tried, kept up as trials finish."""

    def __init__(self) -> None:
        self.places: NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)  # (front, holes)
        self.worth: NDArray[np.float64] = np.zeros((0, 0))  # (front, objectives), all to be maximised
        self.lonely: NDArray[np.float64] = np.zeros(0)
        self.tried: set[tuple[int, ...]] = set()
        self._seen = 0  # trials read so far

    def update(self, study: Study, names: Sequence[str]) -> None:
        """Take in the trials that finished since the last call. Running ones only count as tried."""
        trials = study.get_trials(deepcopy=False)
        for trial in trials[self._seen :]:
            if all(name in trial.params for name in names):
                self.tried.add(tuple(trial.params[name] for name in names))
        first_open = next(
            (i for i, t in enumerate(trials[self._seen :], self._seen) if not t.state.is_finished()), len(trials)
        )
        fresh = [t for t in trials[self._seen : first_open] if t.state == TrialState.COMPLETE]
        self._seen = first_open
        if not fresh:
            return
        signs = [1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions]
        places = np.array(
            [t.user_attrs.get(PLACE) or [t.params[name] for name in names] for t in fresh], dtype=np.int64
        )
        self.tried |= {tuple(place) for place in places.tolist()}
        worth = np.array([t.values for t in fresh], dtype=np.float64) * signs
        if len(self.places):
            places, worth = np.concatenate([self.places, places]), np.concatenate([self.worth, worth])
        mask = pareto_mask(worth)
        self.places, self.worth = places[mask], worth[mask]
        self.lonely = crowding(self.worth)


def crowding(worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """NSGA-II's crowding distance (Deb et al.

    2002, section III B) over logarithms: distances between objectives are ratios.
    """
    scaled = np.sign(worth) * np.log(np.maximum(np.abs(worth), 1e-300))
    distance = np.zeros(len(worth))
    for column in scaled.T:
        order = np.argsort(column, kind="stable")
        in_order = column[order]
        span = in_order[-1] - in_order[0]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (in_order[2:] - in_order[:-2]) / span
    return distance


class FrontSampler(BaseSampler):
    """Make one for each trial, with that trial's seed.

    `tied`: groups of hole names; the search space is integers from 0.
    """

    def __init__(
        self, space: dict[str, IntDistribution], tied: Sequence[Sequence[str]], archive: Archive, seed: int
    ) -> None:
        self._space = space
        names = list(space)
        self._options = np.array([space[name].high + 1 for name in names])
        self._tied = [np.array([names.index(name) for name in group]) for group in tied]
        self._archive = archive
        self._rng = np.random.RandomState(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        names = list(self._space)
        self._archive.update(study, names)
        propose = self._child if len(self._archive.places) else self._somewhere
        for _ in range(ATTEMPTS):
            place = propose()
            if tuple(place.tolist()) not in self._archive.tried:
                break
        self._archive.tried.add(tuple(place.tolist()))
        return dict(zip(names, place.tolist(), strict=True))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        assert isinstance(param_distribution, IntDistribution)
        return int(self._rng.randint(param_distribution.low, param_distribution.high + 1))

    def _somewhere(self) -> NDArray[np.int64]:
        return (self._rng.random_sample(len(self._options)) * self._options).astype(np.int64)

    def _parent(self) -> NDArray[np.int64]:
        a, b = self._rng.randint(len(self._archive.places), size=2)
        return self._archive.places[a if self._archive.lonely[a] >= self._archive.lonely[b] else b]

    def _child(self) -> NDArray[np.int64]:
        place = self._parent().copy()
        if self._rng.random_sample() < CROSSOVER:
            place = np.where(self._rng.random_sample(len(place)) < 0.5, place, self._parent())
        for _ in range(max(1, self._rng.poisson(EXTRA_MOVES))):
            self._move(place)
        return place

    def _move(self, place: NDArray[np.int64]) -> None:
        """One hole, or all that are tied to it, gets another option; in place. Groups are drawn first, so that forty
        layers with one hole each do not crowd out the width."""
        group = self._tied[self._rng.randint(len(self._tied))]
        hole = group[self._rng.randint(len(group))]
        options = self._options[hole]
        if self._rng.random_sample() < NEIGHBOUR:
            option = min(max(place[hole] + (1 if self._rng.random_sample() < 0.5 else -1), 0), options - 1)
        else:
            option = self._rng.randint(options)
        together = self._rng.random_sample() < TIED
        place[group if together else hole] = option
