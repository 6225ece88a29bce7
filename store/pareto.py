"""Exact Pareto sets."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_mask(points: ArrayLike) -> NDArray[np.bool_]:
    """Which rows of `points` (n, k), all to be maximised, no other row dominates.

    A row dominates another if it is at least as good everywhere and better somewhere, so equal rows dominate each
    other never and are all kept. Values that are not numbers raise ValueError: a front over NaN means nothing. Cost:
    n log n for the order, then each distinct row against the front so far.
    """
    values = np.asarray(points, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"points must be a table (n, k), found shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError("a front over values that are not numbers")
    if len(values) == 0:
        return np.zeros(0, dtype=bool)
    distinct, group = np.unique(
        values, axis=0, return_inverse=True
    )  # sorted upwards by column, so reversed: best first
    keep = np.zeros(len(distinct), dtype=bool)
    front = np.empty_like(distinct)
    size = 0
    for i in range(len(distinct) - 1, -1, -1):
        # Rows are distinct and those before were larger in the order: "nowhere worse" already means dominated, and no
        # later row can dominate an earlier one.
        if not (front[:size] >= distinct[i]).all(axis=1).any():
            front[size] = distinct[i]
            size += 1
            keep[i] = True
    return keep[group.reshape(-1)]
