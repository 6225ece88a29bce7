"""What is said about a mask holds for its dense form: reach, causality, the slots a cache must keep."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.masks.dense import dense_mask
from compiler.masks.facts import (
    behind_prompt,
    cache_limit,
    input_names,
    joins_prompt,
    looks_ahead,
    pair_names,
    reach,
)
from compiler.masks.pairs import causal_window, visible_pairs
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


PREFIX = {"type": "keys", "of": {"type": "prefix"}}


@pytest.mark.parametrize(
    ("mask", "ahead", "joined", "behind"),
    [
        ({"type": "or", "of": [CAUSAL, PREFIX]}, False, True, CAUSAL),
        ({"type": "or", "of": [{"type": "window", "behind": 3}, PREFIX]}, False, True, None),
        ({"type": "and", "of": [CAUSAL, {"type": "or", "of": [CAUSAL, PREFIX]}]}, False, False, None),
        ({"type": "or", "of": [CAUSAL, {"type": "queries", "of": {"type": "prefix"}}]}, True, False, None),
        ({"type": "or", "of": [CAUSAL, {"type": "not", "of": PREFIX}]}, True, False, None),
        (CAUSAL, False, False, None),
    ],
)
def test_a_prefix_is_ahead_in_the_prompt_only(mask, ahead, joined, behind):
    """behind: the mask of later steps, None where it is the same expression."""
    assert looks_ahead(mask) == ahead and joins_prompt(mask) == joined
    assert behind_prompt(mask) == (behind or mask)
    total, marks = 9, torch.arange(9)[None] < 4
    seen = dense_mask(mask, total, total, {"prefix": marks})[0, 0]
    if not ahead:
        assert not seen.triu(1)[:, 4:].any()  # only the prefix is seen from before
        assert torch.equal(seen[4:], dense_mask(behind_prompt(mask), total, total, {"prefix": marks})[0, 0][4:])
    assert joined == (not ahead and bool(seen[:4, :4].triu(1).any()))


def test_a_prefix_counts_as_the_whole_prompt():
    mask = {"type": "or", "of": [CAUSAL, PREFIX]}
    assert visible_pairs(mask, 7, 7) == 49 and visible_pairs(mask, 1, 7) == 7
    assert visible_pairs({"type": "and", "of": [CAUSAL, {"type": "not", "of": PREFIX}]}, 7, 7) == 28
