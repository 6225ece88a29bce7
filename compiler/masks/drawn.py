"""Random key blocks, drawn as BigBird's published code draws them, from numpy's legacy generator (its stream is fixed).

Source: arXiv 2007.14062; transformers' modeling_big_bird.py, `_bigbird_block_rand_mask_with_head` and
`_bigbird_block_rand_mask`. A `random_blocks` expression here is a lowered one: beside `block`, `count` and `seed` it
holds `heads`, each of which draws for itself, and `length`, the longest sequence. Three plans:

- as published: row by row, every head in turn, among the first 2·count + 5 blocks less the row's own window of three
  blocks, block 0 and the last of these; the first and last rows never draw each other's neighbour.
- sequences of 1024, 3072 and 4096 tokens (in whole blocks): head by head over all rows of the longest sequence, among
  the blocks up to token 1024. A block drawn there may be visible anyway: it counts once here, twice as published.
- with `outside`: row by row, every head in turn, among all blocks of which `outside` shows the row nothing.

Row 0 draws nothing but in the last plan. What a row draws does not depend on how long the sequence is (but for the
choice between the first two plans), so that one table holds for all lengths.
"""

import json
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.masks.facts import Mask
from compiler.masks.spans import row

PAPER_LENGTHS = (1024, 3072, 4096)
NONE = -1  # stands where fewer blocks can be drawn than wanted


def tables(mask: Mask) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Key blocks drawn (heads, blocks, count), NONE where there is none: for most lengths, and for the paper's own."""
    plain, paper = _tables(json.dumps(dict(mask), sort_keys=True))
    return plain, paper


def visible_blocks(mask: Mask, total: int) -> NDArray[Any]:
    """True where a query block sees a key block (heads, blocks, blocks) of `total` tokens."""
    if total > mask["length"]:
        raise ValueError(f"random blocks are drawn for {mask['length']} tokens, found {total}")
    blocks = -(-total // mask["block"])
    plain, paper = tables(mask)
    drawn = paper if paper is not None and blocks * mask["block"] in PAPER_LENGTHS else plain
    return np.asarray((drawn[:, :blocks, :, None] == np.arange(blocks)).any(2))


@lru_cache(256)
def _tables(text: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    mask = json.loads(text)
    if mask.get("outside") is not None:
        return _outside(mask), None
    fits = any(n <= mask["length"] and n % mask["block"] == 0 for n in PAPER_LENGTHS)
    return _published(mask), _of_the_paper(mask) if fits else None


def _published(mask: Mask) -> NDArray[Any]:
    blocks = -(-mask["length"] // mask["block"])
    table, generator = _empty(mask, blocks)
    end = 2 * mask["count"] + 5  # candidates are the blocks before this one
    for i in range(1, blocks):
        never = {i - 1, i, i + 1, 0, end - 1}
        never |= {end - 2} if i == 1 else {1} if i == end - 2 else set()
        for head in range(mask["heads"]):
            order = generator.permutation(np.arange(end))
            _put(table[head, i], [block for block in order if block not in never])
    return table


def _of_the_paper(mask: Mask) -> NDArray[Any]:
    blocks = mask["length"] // mask["block"]
    table, generator = _empty(mask, blocks)
    middle = np.arange(1, blocks - 1)
    last = blocks - 1
    if 2 * mask["block"] < 1024:
        last = 1024 // mask["block"] - 1
    for head in range(mask["heads"]):
        for i in range(1, blocks - 1):
            _put(table[head, i], generator.permutation(_candidates(middle, i, last, blocks)))
    return table


def _candidates(middle: NDArray[Any], i: int, last: int, blocks: int) -> NDArray[Any]:
    """Among which blocks row i draws in the paper's plan; near the end it may draw its own window, as published."""
    if i <= 2:
        return middle[i + 1 : last]
    if i >= blocks - 3:
        return middle[:last]
    start = i - 2
    if start > last:
        return middle[:last]
    return middle[:start] if i + 1 == last else np.concatenate((middle[:start], middle[i + 1 : last]))


def _outside(mask: Mask) -> NDArray[Any]:
    block, length = mask["block"], mask["length"]
    blocks = -(-length // block)
    table, generator = _empty(mask, blocks)
    for i in range(blocks):
        taken: set[int] = set()
        for query in range(i * block, min(length, (i + 1) * block)):
            for lo, hi in row(mask["outside"], query, length):
                taken.update(range(lo // block, (hi - 1) // block + 1))
        free = np.array([b for b in range(blocks) if b not in taken], dtype=np.int64)
        for head in range(mask["heads"]):
            _put(table[head, i], generator.permutation(free))
    return table


def _empty(mask: Mask, blocks: int) -> tuple[NDArray[Any], np.random.RandomState]:
    table = np.full((mask["heads"], blocks, mask["count"]), NONE, dtype=np.int64)
    return table, np.random.RandomState(mask["seed"] % (1 << 32))


def _put(places: NDArray[Any], order: Any) -> None:
    """The first of `order` into `places`, as many as there are."""
    some = order[: len(places)]
    places[: len(some)] = some
