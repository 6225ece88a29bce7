"""The Pareto mask against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import pareto_mask

# Few distinct values, so that ties and equal rows are common.
rows = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.lists(st.sampled_from([-1.5, 0.0, 1.0, 2.0, np.inf]), min_size=k, max_size=k), max_size=40)
)


@given(rows)
def test_it_is_the_definition(points: list[list[float]]) -> None:
    table = np.array(points, dtype=float).reshape(len(points), len(points[0]) if points else 3)

    def dominated(p: np.ndarray) -> bool:
        return any((q >= p).all() and (q > p).any() for q in table)

    assert pareto_mask(table).tolist() == [not dominated(p) for p in table]


def test_values_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        pareto_mask([[1.0, float("nan")]])
    with pytest.raises(ValueError, match="shape"):
        pareto_mask([1.0, 2.0])
