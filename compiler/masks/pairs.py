"""Exactly how many (query, key) pairs a mask leaves visible.

Queries are the last `new` of `total` slots (bottom-right aligned). Causal windows, blocks and segments have a closed
form. Elsewhere the number of keys that a row sees grows by the same amount from one period of the pattern to the next,
except near the edges of the pattern: rows near an edge are counted, those between edges follow from two of each period.
What depends on data counts as its upper bound (see `spans`); chosen blocks are as many as a row may choose.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from math import lcm

from compiler.masks.facts import Mask, holds, parts
from compiler.masks.spans import marked, row

TOP = "top_blocks"
CHOSEN = (TOP, "random_blocks")
FOREVER = 1 << 62
SEED = re.compile(r'"seed": -?\d+')


def visible_pairs(mask: Mask, new: int, total: int) -> int:
    """Visible pairs of `new` queries over `total` keys, for one head and sequence (the mean over heads, rounded)."""
    text = json.dumps(mask, sort_keys=True)
    return _pairs(SEED.sub('"seed": 0', text), new, total)  # which blocks are drawn does not change how many


@lru_cache(4096)
def _pairs(text: str, new: int, total: int) -> int:
    mask = json.loads(text)
    heads = _heads(mask)
    if heads == 1:
        return _of_head(simplified(mask, total, 0), new, total)
    return round(sum(_of_head(simplified(mask, total, head), new, total) for head in range(heads)) / heads)


def _heads(mask: Mask) -> int:
    own = len(mask["of"]) if mask["type"] == "by_head" else 1
    return max([own, *map(_heads, parts(mask))])


def simplified(mask: Mask, total: int, head: int) -> Mask:
    """The expression that holds for this length and head: no `by_length`, no `by_head`."""
    match mask["type"]:
        case "by_length":
            return simplified(mask["then"] if total <= mask["up_to"] else mask["otherwise"], total, head)
        case "by_head":
            return simplified(mask["of"][head % len(mask["of"])], total, head)
        case "and" | "or":
            return {**mask, "of": [simplified(m, total, head) for m in mask["of"]]}
        case "not":
            return {**mask, "of": simplified(mask["of"], total, head)}
    return mask


def _of_head(mask: Mask, new: int, total: int) -> int:
    if mask["type"] == "full":
        return new * total
    lookback = _lookback(mask)
    if lookback is not None:
        before, own = _hidden(total - new, *lookback), _hidden(total, *lookback)
        return total * (total + 1) // 2 - (total - new) * (total - new + 1) // 2 - (own - before)
    if _chooses(mask):
        return sum(_chosen(mask, i, total) for i in range(total - new, total))
    period = lcm(*_units(mask))
    return sum(_rows(mask, lo, hi, total, period) for lo, hi in _stretches(mask, new, total, period))


def causal_window(mask: Mask) -> int | None:
    """How many keys a query sees at most if it sees all keys from there to itself; None for any other expression."""
    lookback = _lookback(mask)
    return None if lookback is None or lookback[0] > 1 or holds(mask, TOP) else lookback[1] + 1


def _lookback(mask: Mask) -> tuple[int, int] | None:
    """(unit, memory) if query i sees exactly the keys from i // unit · unit - memory to itself; else None."""
    match mask["type"]:
        case "causal":
            return 1, FOREVER
        case "segment":
            return mask["length"], mask.get("memory", 0)
        case "window" if mask.get("dilation", 1) == 1 and mask.get("ahead", 0) == 0:
            block, behind = mask.get("block", 1), mask.get("behind")
            return (block, FOREVER if behind is None else (behind - 1) * block) if block == 1 else None
        case "and":
            # As many keys as that: the own block so far, and whole blocks before it, wherever these are.
            limits = [(int(m["block"]), int(m["block"] * (m["count"] - 1))) for m in mask["of"] if m["type"] == TOP]
            found = [_lookback(m) or _blocks(m) for m in mask["of"] if m["type"] != TOP]
            causal = any(_lookback(m) for m in mask["of"])
            return _shorter([*limits, *found]) if causal and found else None
    return None


def _blocks(mask: Mask) -> tuple[int, int] | None:
    """(unit, memory) of a window over blocks, which is not causal on its own."""
    if mask["type"] != "window" or mask.get("dilation", 1) != 1 or mask.get("ahead", 0) != 0:
        return None
    behind = mask.get("behind")
    return mask.get("block", 1), FOREVER if behind is None else (behind - 1) * mask.get("block", 1)


def _shorter(found: list[tuple[int, int] | None]) -> tuple[int, int] | None:
    """All of these at once, where one of them is the shortest everywhere."""
    limited = [f for f in found if f is None or f[1] < FOREVER]
    if None in limited:
        return None
    units = {f[0] for f in limited if f is not None}
    if len(units) > 1:
        return None
    return min((f for f in limited if f is not None), default=(1, FOREVER))


def _hidden(rows: int, unit: int, memory: int) -> int:
    """Earlier keys that the first `rows` queries do not see: the sum of max(0, i // unit · unit - memory)."""
    full, first = rows // unit, memory // unit + 1  # blocks of rows; the first one that hides something
    count = max(0, full - first)
    blocks = unit * (unit * (first + full - 1) * count // 2 - memory * count)
    return blocks + (rows - full * unit) * max(0, full * unit - memory)


def _seen(mask: Mask, i: int, total: int) -> int:
    return sum(hi - lo for lo, hi in row(mask, i, total))


def _rows(mask: Mask, lo: int, hi: int, total: int, period: int) -> int:
    """Pairs of rows lo to hi, between which no edge of the pattern lies."""
    if hi - lo <= 3 * period:
        return sum(_seen(mask, i, total) for i in range(lo, hi))
    pairs = 0
    for start in range(lo, lo + period):
        n = (hi - 1 - start) // period + 1  # rows start, start + period, ...
        first, second = _seen(mask, start, total), _seen(mask, start + period, total)
        step = second - first
        if _seen(mask, start + (n - 1) * period, total) != first + (n - 1) * step:
            return sum(_seen(mask, i, total) for i in range(lo, hi))
        pairs += n * first + step * n * (n - 1) // 2
    return pairs


def _stretches(mask: Mask, new: int, total: int, period: int) -> Iterator[tuple[int, int]]:
    """Rows total - new to total, cut a period before and after each edge."""
    keys = {0, total, *_key_edges(mask, total)}
    distances = {0, *_distances(mask)}
    edges = {k + d for k in keys for d in distances} | set(_query_edges(mask, total))
    start = total - new
    cuts = {start, total, *(cut for e in edges for cut in (e - 2 * period, e + 2 * period))}
    inside = sorted(cut for cut in cuts if start <= cut <= total)
    return pairwise(inside)


def _units(mask: Mask) -> Iterator[int]:
    """Shifts of query and key together that change nothing, one for each part."""
    yield 1
    match mask["type"]:
        case "window":
            yield mask.get("block", 1) * mask.get("dilation", 1)
        case "segment":
            yield mask["length"]
        case "strided":
            yield mask["stride"]
        case "fixed":
            yield mask["block"]
    for part in parts(mask):
        yield from _units(part)


def _distances(mask: Mask) -> Iterator[int]:
    """How far from a key's edge a row's edge can lie, in tokens."""
    match mask["type"]:
        case "window":
            unit = mask.get("block", 1) * mask.get("dilation", 1)
            if mask.get("behind") is not None:
                yield mask["behind"] * unit
            yield -(mask.get("ahead") or 0) * unit
        case "segment":
            yield mask["length"]
            yield mask["length"] + mask.get("memory", 0)
    for part in parts(mask):
        yield from _distances(part)


def _key_edges(mask: Mask, total: int) -> Iterator[int]:
    if mask["type"] == "keys":
        yield from (edge for span in marked(mask["of"], total) for edge in span)
    for part in parts(mask):
        yield from _key_edges(part, total)


def _query_edges(mask: Mask, total: int) -> Iterator[int]:
    if mask["type"] == "queries":
        yield from (edge for span in marked(mask["of"], total) for edge in span)
    for part in parts(mask):
        yield from _query_edges(part, total)


def _chooses(mask: Mask) -> bool:
    """True if the expression holds blocks that are chosen at run time or drawn."""
    return holds(mask, *CHOSEN)


def _chosen(mask: Mask, i: int, total: int) -> int:
    """At most so many keys does query slot i see."""
    if not _chooses(mask):
        return _seen(mask, i, total)
    match mask["type"]:
        case "and" | "or":
            fixed = [m for m in mask["of"] if not _chooses(m)]
            counts = [_chosen(m, i, total) for m in mask["of"] if _chooses(m)]
            if fixed:
                counts.append(_seen({"type": mask["type"], "of": fixed}, i, total))
            return min(counts) if mask["type"] == "and" else min(total, sum(counts))
        case "not":
            return total
    block, own = int(mask["block"]), i // int(mask["block"])
    if mask["type"] == TOP:  # the own block and those before it
        return min(own, mask["count"] - 1) * block + min(block, total - own * block)
    return min(total, block * int(mask["count"]))
