"""The front sampler and the uniform start, by themselves."""

import json

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution

from search.front_sampler import Archive, FrontSampler, crowding
from search.space import Hole, place_of, tied, values_at
from search.uniform import MOST, share_of_budget, uniform_places
from store import pareto_mask
from tests.search.toy import ToySpace


class Wide:
    """Twelve layers of two choices each, tied; two more holes."""

    name, text = "wide", "wide"
    holes = (
        Hole("width", (1, 2, 3, 4, 5)),
        *(Hole(f"layer{i}/block", ("a", "b", "c"), "block") for i in range(12)),
        Hole("bits", (8, 16)),
    )

    def fill(self, values: dict) -> dict:
        return dict(values)


def test_uniform_places_have_every_layer_alike_and_every_option_as_often() -> None:
    places = uniform_places(Wide(), seed=1)
    assert len(places) == len(set(places)) == 30  # 5 * 3 * 2: all there are
    assert all(len(set(place[1:13])) == 1 for place in places)


def test_uniform_places_of_a_large_space_are_stratified() -> None:
    class Large(Wide):
        holes = tuple(Hole(f"h{i}", tuple(range(16))) for i in range(6))

    places = np.array(uniform_places(Large(), seed=1))
    assert places.shape == (MOST, 6)
    for column in places.T:
        assert np.bincount(column).tolist() == [MOST // 16] * 16


def test_uniform_places_depend_on_the_seed_alone() -> None:
    assert uniform_places(ToySpace(), 5) == uniform_places(ToySpace(), 5) != uniform_places(ToySpace(), 6)


def test_shares_of_the_budget_are_all_used() -> None:
    assert sorted(share_of_budget(i, 8, seed=3) for i in range(8)) == [i / 8 for i in range(1, 9)]


def test_places_and_values_are_inverse() -> None:
    space = ToySpace()
    place = (3, 1, 2, 0, 1, 0)
    assert place_of(space, values_at(space, place)) == place
    assert place_of(space, json.loads(json.dumps(values_at(space, place)))) == place
    assert tied(space) == [[0], [1, 2], [3], [4], [5]]


def study_of(sampler_of: object, trials: int) -> list[tuple]:
    """Ask and tell on a toy: two objectives that disagree."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"])
    found = []
    for number in range(trials):
        study.sampler = sampler_of(number)
        trial = study.ask(SPACE)
        x = np.array([trial.params[name] for name in SPACE])
        found.append(tuple(x))
        study.tell(trial, [float(x.sum()) + 1, float((x**2).sum()) + 1])
    return found


SPACE = {f"x{i}": IntDistribution(0, 9) for i in range(8)}


def front_sampler(archive: Archive) -> object:
    return lambda number: FrontSampler(SPACE, [[name] for name in SPACE], archive, seed=number)


def test_nothing_is_proposed_twice_and_it_beats_chance() -> None:
    found = study_of(front_sampler(Archive()), 300)
    assert len(set(found)) == 300

    def front(points: list[tuple]) -> np.ndarray:
        x = np.array(points)
        worth = np.stack([x.sum(1), -(x**2).sum(1)], axis=1).astype(float)
        return worth[pareto_mask(worth)]

    ours, theirs = front(found), front(study_of(lambda number: optuna.samplers.RandomSampler(seed=number), 300))
    dominated = [((ours >= point).all(1) & (ours > point).any(1)).any() for point in theirs]
    assert np.mean(dominated) > 0.6


def test_the_archive_needs_no_memory_of_how_it_came_about() -> None:
    assert study_of(front_sampler(Archive()), 60) == study_of(lambda n: front_sampler(Archive())(n), 60)


def test_crowding_is_infinite_at_the_ends_and_larger_where_it_is_lonely() -> None:
    worth = np.array([[1, -100], [2, -50], [4, -40], [100, -1]], dtype=float)
    found = crowding(worth)
    assert found[[0, 3]].tolist() == [np.inf, np.inf]
    assert found[2] > found[1]


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_crowding_of_equal_points(constant: float) -> None:
    assert np.isfinite(crowding(np.full((4, 2), constant))).any()
