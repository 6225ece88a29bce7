"""The count of visible pairs is the count of True in the dense mask, for any expression that depends on no data."""

import time

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.masks.dense import dense_mask
from compiler.masks.pairs import visible_pairs
from compiler.masks.spans import complement, join, meet, row
from tests.masks.made import EXPRESSIONS, MASKS, mask

LENGTHS = st.integers(1, 24).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))
SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5).map(join)
CAUSAL = {"type": "causal"}


@settings(max_examples=200, deadline=None)
@given(MASKS, LENGTHS)
@example({"type": "not", "of": {"type": "queries", "of": {"type": "at", "positions": [9]}}}, (3, 4))
def test_pairs_are_those_of_the_dense_mask(mask, lengths):
    new, total = lengths
    dense = dense_mask(mask, new, total, {})
    assert visible_pairs(mask, new, total) == round(dense.sum().item() / dense.shape[1])


ONE_SIDED = (
    mask("causal")
    | mask("window", behind=st.none() | st.integers(1, 9), block=st.integers(1, 4))
    | mask("segment", length=st.integers(1, 6), memory=st.integers(0, 9))
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ONE_SIDED, min_size=1, max_size=2), LENGTHS)
def test_closed_forms(parts, lengths):
    new, total = lengths
    causal = {"type": "and", "of": [CAUSAL, *parts]}
    assert visible_pairs(causal, new, total) == dense_mask(causal, new, total, {}).sum().item()


@settings(max_examples=40, deadline=None)
@given(MASKS, st.integers(200, 300), st.data())
def test_pairs_of_long_sequences(mask, total, data):
    new = data.draw(st.integers(total // 2, total))
    dense = dense_mask(mask, new, total, {})
    assert visible_pairs(mask, new, total) == round(dense.sum().item() / dense.shape[1])


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS.filter(lambda m: "by_length" not in str(m)), LENGTHS)
def test_rows_are_those_of_the_dense_mask(mask, lengths):
    new, total = lengths
    dense = dense_mask(mask, new, total, {})[0, 0]
    for i in range(new):
        spans = row(mask, total - new + i, total)
        assert [j for lo, hi in spans for j in range(lo, hi)] == dense[i].nonzero().flatten().tolist()


@given(SPANS, SPANS)
def test_span_algebra(left, right):
    def keys(spans):
        return {j for lo, hi in spans for j in range(lo, hi)}

    assert keys(meet(left, right)) == keys(left) & keys(right)
    assert keys(join(left + right)) == keys(left) | keys(right)
    assert keys(complement(left, 12)) == set(range(12)) - keys(left)


@pytest.mark.parametrize(
    ("mask", "pairs"),
    [
        (CAUSAL, 128 * 1024 * (128 * 1024 + 1) // 2),
        ({"type": "and", "of": [CAUSAL, {"type": "window", "behind": 4096}]}, 4096 * 4097 // 2 + 126976 * 4096),
        ({"type": "and", "of": [CAUSAL, {"type": "window", "behind": 1, "block": 8192}]}, 16 * 8192 * 8193 // 2),
        ({"type": "segment", "length": 512, "memory": 512}, 256 * 512 * 513 // 2 + 255 * 512 * 512),
        ({"type": "or", "of": [{"type": "window", "behind": 257, "ahead": 256},
                               {"type": "keys", "of": {"type": "first", "count": 1}}]},
         131072 * 513 - 256 * 257 + (131072 - 257)),
        ({"type": "and", "of": [CAUSAL, {"type": "strided", "stride": 4096}]}, 4096 * 32 * 33 // 2),
    ],
)  # fmt: skip
def test_a_long_context_is_counted_fast(mask, pairs):
    start = time.perf_counter()
    assert visible_pairs(mask, 131072, 131072) == pairs
    assert time.perf_counter() - start < 2


def test_what_depends_on_data_counts_as_its_upper_bound():
    given_mask = {"type": "input", "name": "m"}
    assert visible_pairs(given_mask, 4, 4) == 16
    assert visible_pairs({"type": "not", "of": given_mask}, 4, 4) == 16
    assert visible_pairs({"type": "and", "of": [CAUSAL, {"type": "label", "queries": "a", "keys": "b"}]}, 4, 4) == 10
    marked = {"type": "keys", "of": {"type": "rows_input", "name": "global"}}
    assert visible_pairs({"type": "or", "of": [{"type": "self"}, marked]}, 4, 4) == 4
    assert visible_pairs({"type": "top_blocks", "block": 2, "count": 3}, 4, 10) == 4 * 6


def test_data_in_the_dense_mask():
    named = {
        "m": torch.tensor([[[1, 0], [0, 1]]]),
        "a": torch.tensor([[0, 1]]),
        "b": torch.tensor([[1, 1]]),
        "rows": torch.tensor([[0, 1]]),
    }

    def seen(mask):
        return dense_mask(mask, 2, 2, named).int().squeeze().tolist()

    assert seen({"type": "input", "name": "m"}) == [[1, 0], [0, 1]]
    assert seen({"type": "label", "queries": "a", "keys": "b"}) == [[0, 0], [1, 1]]
    assert seen({"type": "label", "queries": "b", "keys": "a", "compare": "at_most"}) == [[1, 1], [1, 1]]
    assert seen({"type": "keys", "of": {"type": "rows_input", "name": "rows"}}) == [[0, 1], [0, 1]]
    assert seen({"type": "queries", "of": {"type": "rows_input", "name": "rows"}}) == [[0, 0], [1, 1]]
