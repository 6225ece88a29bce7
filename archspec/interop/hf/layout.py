"""Layers as entries: a list of block names, one for each layer, written as short as it can be said."""

from collections.abc import Sequence
from typing import Any


def entries(blocks: Sequence[str]) -> list[Any]:
    """`["a"] * 4` -> one repeat; a period that fits -> one repeat of it; else runs.

    >>> entries(["full", "slide", "full", "slide"])
    [{'repeat': 2, 'of': ['full', 'slide']}]
    """
    n = len(blocks)
    for period in range(1, n // 2 + 1):
        if n % period == 0 and list(blocks) == list(blocks[:period]) * (n // period):
            return [{"repeat": n // period, "of": list(blocks[:period])}]
    out: list[Any] = []
    for block in blocks:
        if out and out[-1]["of"] == [block]:
            out[-1]["repeat"] += 1
        else:
            out.append({"repeat": 1, "of": [block]})
    return [entry if entry["repeat"] > 1 else entry["of"][0] for entry in out]
