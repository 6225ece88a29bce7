"""The front beside the one that parameters alone would give: what the prior's corrections change, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from store.fronts import front
from store.records import Candidate


@dataclass(frozen=True)
class Difference:
    """`candidate` is on the front by parameters; `better` dominates it, mostly for `correction` (in nats)."""

    candidate: Candidate
    better: Candidate
    correction: str
    nats: float


@dataclass(frozen=True)
class Comparison:
    by_quality: list[Candidate]
    by_parameters: list[Candidate]
    both: int
    only_by_quality: list[Candidate]
    only_by_parameters: list[Difference]


def compare(candidates: Sequence[Candidate]) -> Comparison:
    """Both fronts of the same candidates; differences with the largest correction first."""
    by_quality, by_parameters = front(candidates), front(candidates, by_parameters=True)
    good, large = ({candidate.key for candidate in each} for each in (by_quality, by_parameters))
    differences = [_difference(c, by_quality) for c in by_parameters if c.key not in good]
    return Comparison(
        by_quality=by_quality,
        by_parameters=by_parameters,
        both=len(good & large),
        only_by_quality=[c for c in by_quality if c.key not in large],
        only_by_parameters=sorted((d for d in differences if d), key=lambda d: (-d.nats, d.candidate.trial)),
    )


def _difference(candidate: Candidate, by_quality: Sequence[Candidate]) -> Difference | None:
    """Against the front member closest in parameters of those that dominate the candidate."""
    better = [
        c
        for c in by_quality
        if c.setting == candidate.setting
        and c.quality >= candidate.quality
        and c.memory_bytes <= candidate.memory_bytes
        and c.tokens_per_second >= candidate.tokens_per_second
    ]
    if not better:
        return None
    size = candidate.parameters_active_non_embedding
    nearest = min(better, key=lambda c: (abs(c.parameters_active_non_embedding - size), c.trial))
    saved = {name: value - nearest.corrections.get(name, 0.0) for name, value in candidate.corrections.items()} or {
        "": 0.0
    }
    correction = max(saved, key=lambda name: saved[name])
    return Difference(candidate, nearest, correction, saved[correction])
