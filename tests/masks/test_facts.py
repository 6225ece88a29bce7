"""What is said about a mask holds for its dense form: reach, causality, the slots a cache must keep."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.masks.dense import dense_mask
from compiler.masks.facts import cache_limit, input_names, looks_ahead, pair_names, reach
from compiler.masks.pairs import causal_window
from tests.masks.made import MASKS

CAUSAL = {"type": "causal"}


@settings(max_examples=150, deadline=None)
@given(MASKS, st.integers(1, 20))
def test_nothing_visible_lies_out_of_reach(mask, total):
    behind, ahead = reach(mask)
    seen = dense_mask(mask, total, total, {}).any(1)[0]  # by any head
    distance = torch.arange(total)[:, None] - torch.arange(total)[None, :]
    assert (distance[seen] < behind).all() and (distance[seen] >= -ahead).all()
    if not looks_ahead(mask):
        assert not seen.triu(1).any()
    if (limit := cache_limit(mask)) is not None:
        assert not seen[distance >= limit].any()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (CAUSAL, None),
        ({"type": "self"}, 1),
        ({"type": "and", "of": [CAUSAL, {"type": "window", "behind": 4096}]}, 4096),
        ({"type": "and", "of": [CAUSAL, {"type": "window", "behind": 2, "block": 8}]}, 16),
        ({"type": "and", "of": [CAUSAL, {"type": "window", "behind": 3, "dilation": 2}]}, 5),
        ({"type": "segment", "length": 8, "memory": 4}, 12),
        ({"type": "or", "of": [{"type": "window", "behind": 3}, {"type": "keys", "of": {"type": "first", "count": 1}}]},
         None),
        ({"type": "by_head", "of": [{"type": "window", "behind": 3}, {"type": "window", "behind": 5}]}, 5),
        ({"type": "by_length", "up_to": 4, "then": CAUSAL, "otherwise": {"type": "window", "behind": 3}}, None),
    ],
)  # fmt: skip
def test_cache_limit(mask, expected):
    assert cache_limit(mask) == expected


def test_causal_window():
    window = {"type": "window", "behind": 7}
    assert causal_window(window) == causal_window({"type": "and", "of": [CAUSAL, window]}) == 7
    assert causal_window(CAUSAL) >= 10**12
    assert causal_window({"type": "segment", "length": 4}) is causal_window({"type": "full"}) is None


def test_input_names():
    mask = {"type": "or", "of": [
        {"type": "not", "of": {"type": "input", "name": "m"}},
        {"type": "label", "queries": "a", "keys": "b"},
        {"type": "keys", "of": {"type": "rows_input", "name": "r"}},
        {"type": "by_length", "up_to": 3, "then": CAUSAL, "otherwise": {"type": "queries", "of": {"type": "prefix"}}},
        {"type": "input", "name": "m"},
    ]}  # fmt: skip
    assert input_names(mask) == ["m", "a", "b", "r", "prefix"]
    assert pair_names(mask) == {"m"}
