"""The samplers of a search. To add one: a function here and its line in SAMPLERS.

Each trial gets a sampler of its own, made with the trial's seed: nothing but finished trials carries over from one to
the next, so a resumed search proposes what an uninterrupted one would have.
"""

from collections.abc import Callable

from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler

from search.front_sampler import Archive, FrontSampler
from search.space import SearchSpace, tied

MakeSampler = Callable[[int], BaseSampler]  # a trial's seed -> the sampler that proposes it


def distributions(space: SearchSpace) -> dict[str, IntDistribution]:
    """Optuna's view of the space: the index of the option for each hole."""
    return {hole.name: IntDistribution(0, len(hole.options) - 1) for hole in space.holes}


def _front(space: SearchSpace) -> MakeSampler:
    archive, names = Archive(), [hole.name for hole in space.holes]
    groups = [[names[index] for index in group] for group in tied(space)]
    return lambda seed: FrontSampler(distributions(space), groups, archive, seed)


def _nsga2(space: SearchSpace) -> MakeSampler:
    return lambda seed: NSGAIISampler(seed=seed)


def _random(space: SearchSpace) -> MakeSampler:
    return lambda seed: RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[[SearchSpace], MakeSampler]] = {"front": _front, "nsga2": _nsga2, "random": _random}
