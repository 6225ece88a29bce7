"""Exactly how many (query, key) pairs a mask leaves visible: closed forms where there is one, else row by row.

Queries are the last `new` of `total` slots (bottom-right aligned). What depends on data (inputs, labels, chosen
blocks) counts as its upper bound: chosen blocks are as many as a row may choose, and none that it sees anyway.
"""

import json
from collections.abc import Mapping
from functools import lru_cache

from compiler.masks.facts import Mask

CHOSEN = ("top_blocks", "random_blocks")

Spans = list[tuple[int, int]]  # disjoint, ascending, half open


def visible_pairs(mask: Mask, new: int, total: int) -> int:
    """Visible pairs of `new` queries over `total` keys, for one head and sequence."""
    return _pairs(json.dumps(_without_seeds(mask), sort_keys=True), new, total)


@lru_cache(4096)
def _pairs(text: str, new: int, total: int) -> int:
    mask = json.loads(text)
    window = _causal_window(mask)
    if mask["type"] == "full":
        return new * total
    if window is not None:
        first = total - new  # the first query's slot; row i sees min(i + 1, window)
        growing = max(0, min(total, window) - first)
        return growing * (2 * first + growing + 1) // 2 + (new - growing) * min(window, total)
    if mask["type"] == "by_head":
        return round(sum(visible_pairs(m, new, total) for m in mask["of"]) / len(mask["of"]))
    return sum(_seen(mask, i, total) for i in range(total - new, total))


def _without_seeds(mask: Mask) -> Mask:
    """Which blocks are drawn does not change how many."""
    if "of" not in mask or mask["type"] in ("keys", "queries"):
        return {k: _without_seeds(v) if k in ("then", "otherwise") else v for k, v in mask.items() if k != "seed"}
    parts = mask["of"]
    return {**mask, "of": _without_seeds(parts) if isinstance(parts, Mapping) else [_without_seeds(m) for m in parts]}


def _seen(mask: Mask, i: int, total: int) -> int:
    """Keys that query slot i sees."""
    if not _chooses(mask):
        return sum(hi - lo for lo, hi in row(mask, i, total))
    match mask["type"]:
        case "and" | "or":
            fixed = [m for m in mask["of"] if not _chooses(m)]
            counts = [_seen(m, i, total) for m in mask["of"] if _chooses(m)]
            if fixed:
                counts.append(_seen({"type": mask["type"], "of": fixed}, i, total))
            return min(counts) if mask["type"] == "and" else min(total, sum(counts))
        case "by_length":
            return _seen(mask["then"] if total <= mask["up_to"] else mask["otherwise"], i, total)
        case "not":
            return total
    return min(total, int(mask["block"] * mask["count"]))


def _chooses(mask: Mask) -> bool:
    """True if the expression holds blocks that are chosen at run time or drawn."""
    parts = mask.get("of", [mask[k] for k in ("then", "otherwise") if k in mask])
    parts = parts if isinstance(parts, list | tuple) else [parts]
    return mask["type"] in CHOSEN or any(_chooses(m) for m in parts)


def _causal_window(mask: Mask) -> int | None:
    """Window length if the mask is causal, or causal and one plain window; None for any other expression."""
    match mask["type"]:
        case "causal":
            return 1 << 62
        case "window" if mask.get("block", 1) == mask.get("dilation", 1) == 1 and mask.get("ahead", 0) == 0:
            return 1 << 62 if mask.get("behind") is None else int(mask["behind"])
        case "and":
            limits = [int(m["block"] * m["count"]) for m in mask["of"] if m["type"] in CHOSEN]
            windows = [_causal_window(m) for m in mask["of"] if m["type"] not in CHOSEN]
            return None if None in windows or not windows else min([*limits, *(w for w in windows if w is not None)])
    return None


def row(mask: Mask, i: int, total: int) -> Spans:
    """Keys that query slot i sees, as spans."""
    match mask["type"]:
        case "causal":
            return [(0, i + 1)]
        case "self":
            return [(i, i + 1)]
        case "window":
            return _window_row(mask, i, total)
        case "segment":
            start = i // mask["length"] * mask["length"]
            return [(max(0, start - mask.get("memory", 0)), i + 1)]
        case "keys":
            return _rows(mask["of"], total)
        case "queries":
            return [(0, total)] if any(lo <= i < hi for lo, hi in _rows(mask["of"], total)) else []
        case "strided":
            return [(j, j + 1) for j in range(i % mask["stride"], total, mask["stride"])]
        case "fixed":
            return _fixed_row(mask, i, total)
        case "and":
            spans: Spans = [(0, total)]
            for part in mask["of"]:
                spans = _meet(spans, row(part, i, total))
            return spans
        case "or":
            return _join([span for part in mask["of"] for span in row(part, i, total)])
        case "not":
            return _complement(row(mask["of"], i, total), total)
        case "by_length":
            return row(mask["then"] if total <= mask["up_to"] else mask["otherwise"], i, total)
    return [(0, total)]  # full, input, label


def _window_row(mask: Mask, i: int, total: int) -> Spans:
    block, dilation = mask.get("block", 1), mask.get("dilation", 1)
    behind, ahead = mask.get("behind"), mask.get("ahead", 0)
    if dilation > 1:
        back = i // dilation if behind is None else min(behind - 1, i // dilation)
        front = (total - 1 - i) // dilation if ahead is None else ahead
        steps = range(i - back * dilation, min(total, i + front * dilation + 1), dilation)
        return [(j, j + 1) for j in steps]
    own = i // block
    lo = 0 if behind is None else max(0, (own - behind + 1) * block)
    hi = total if ahead is None else min(total, (own + ahead + 1) * block)
    if block == 1 and ahead == 0:
        hi = min(hi, i + 1)
    return [(lo, hi)] if lo < hi else []


def _fixed_row(mask: Mask, i: int, total: int) -> Spans:
    """Sparse Transformer's fixed pattern (arXiv 1904.10509, section 4.2): own block, and each block's summary."""
    block, summary = mask["block"], mask["summary"]
    own = (i // block * block, min(total, (i // block + 1) * block))
    ends = [(min(total, b + block - summary), min(total, b + block)) for b in range(0, total, block)]
    return _join([own, *ends])


def _rows(rows: Mask, total: int) -> Spans:
    match rows["type"]:
        case "first":
            return [(0, min(total, rows["count"]))]
        case "last":
            return [(max(0, total - rows["count"]), total)]
        case "at":
            return _join([(p % total, p % total + 1) for p in rows["positions"] if -total <= p < total])
    return []  # given at run time: the fewest


def _meet(left: Spans, right: Spans) -> Spans:
    out = [(max(a, c), min(b, d)) for a, b in left for c, d in right]
    return sorted((lo, hi) for lo, hi in out if lo < hi)


def _join(spans: Spans) -> Spans:
    out: Spans = []
    for lo, hi in sorted(s for s in spans if s[0] < s[1]):
        if out and lo <= out[-1][1]:
            out[-1] = (out[-1][0], max(hi, out[-1][1]))
        else:
            out.append((lo, hi))
    return out


def _complement(spans: Spans, total: int) -> Spans:
    edges = [0, *(e for span in _join(spans) for e in span), total]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
