"""What follows from a mask expression alone: does it look ahead, and how far back must a cache reach?

A mask is the spec's expression as plain JSON, `{"type": "causal"}`; key j is visible to query i where it is true.
"""

import math
from collections.abc import Mapping
from typing import Any

Mask = Mapping[str, Any]

PREFIX = "prefix"  # the input that marks the rows of a prompt's prefix


def parts(mask: Mask) -> list[Mask]:
    """The expressions directly inside this one (the rows of `keys` and `queries` are none)."""
    if mask["type"] in ("keys", "queries"):
        return []
    of = mask.get("of", [mask[k] for k in ("then", "otherwise") if k in mask])
    return list(of) if isinstance(of, list | tuple) else [of]


def reach(mask: Mask, in_prompt: bool = False) -> tuple[float, float]:
    """(behind, ahead): visible keys lie within i - behind < j <= i + ahead; math.inf where unbounded.

    The keys of a prefix stand, all of them, before what is generated: they are ahead only `in_prompt`.
    """
    match mask["type"]:
        case "keys" if mask["of"]["type"] == PREFIX:
            return math.inf, math.inf if in_prompt else 0
        case "causal":
            return math.inf, 0
        case "self":
            return 1, 0
        case "window":
            return _window(mask)
        case "segment":
            return mask["length"] + mask.get("memory", 0), 0
        case "top_blocks":
            return math.inf, mask["block"] - 1  # blocks before the own one, and all of that
        case "and":
            inner = [reach(m, in_prompt) for m in mask["of"]]
            return min(b for b, _ in inner), min(a for _, a in inner)
        case "or" | "by_head":
            inner = [reach(m, in_prompt) for m in mask["of"]]
            return max(b for b, _ in inner), max(a for _, a in inner)
        case "by_length":
            short, long = (reach(mask[k], in_prompt) for k in ("then", "otherwise"))
            return max(short[0], long[0]), max(short[1], long[1])
    return math.inf, math.inf


def _window(mask: Mask) -> tuple[float, float]:
    behind, ahead = mask.get("behind"), mask.get("ahead", 0)
    block, dilation = mask.get("block", 1), mask.get("dilation", 1)
    # In tokens: a query at the end of its block sees all of the block furthest back, one at the start all of the last.
    back = math.inf if behind is None else ((behind - 1) * dilation + 1) * block
    front = math.inf if ahead is None else (ahead * dilation + 1) * block - 1
    return back, front


def looks_ahead(mask: Mask) -> bool:
    """True unless every visible key stands at or before its query, and which ones does not hang on later tokens.

    A prefix is none: it is there, whole, before the first token that is generated. See `joins_prompt`.
    """
    return reach(mask)[1] > 0 or by_total(mask)


def joins_prompt(mask: Mask) -> bool:
    """True where tokens of a prompt see later ones of it, and nothing else is ahead: it must come in one step."""
    return reach(mask, in_prompt=True)[1] > 0 and not looks_ahead(mask)


def behind_prompt(mask: Mask) -> Mask:
    """What queries behind the prefix see, where it says nothing that `causal` does not say."""
    if mask["type"] != "or" or not any(part["type"] == "causal" for part in mask["of"]):
        return mask
    left = [p for p in mask["of"] if not (p["type"] == "keys" and p["of"]["type"] == PREFIX)]
    return left[0] if len(left) == 1 else {**mask, "of": left}


def by_total(mask: Mask) -> bool:
    """True where what a query sees depends on how long the whole sequence is."""
    match mask["type"]:
        case "keys" | "queries":
            return bool(mask["of"]["type"] == "last")
        case "random_blocks":
            return mask.get("outside") is None  # drawn by another plan for some lengths
    return mask["type"] == "by_length" or any(map(by_total, parts(mask)))


def cache_limit(mask: Mask) -> int | None:
    """Slots a cache must keep, the current token included; None where every past token may be seen or scored."""
    behind = reach(mask)[0]
    return None if behind == math.inf or holds(mask, "top_blocks") else int(behind)


def by_query_slots(mask: Mask) -> bool:
    """True where what a query sees depends on where it stands, and not on its marks alone."""
    match mask["type"]:
        case "queries":
            return mask["of"]["type"] not in ("rows_input", PREFIX)
        case "full" | "input" | "label" | "keys":
            return False
    inside = parts(mask)
    return not inside or any(map(by_query_slots, inside))


def holds(mask: Mask, *types: str) -> bool:
    """True where the expression is, or has inside it, one of these types."""
    return mask["type"] in types or any(holds(part, *types) for part in parts(mask))


def scored(mask: Mask, total: int) -> int:
    """Products with keys that one query takes to choose its blocks: with the mean of each block, or with every key."""
    if mask["type"] == "top_blocks":
        return total if mask.get("score") == "max_key" else -(-total // int(mask["block"]))
    return sum(scored(part, total) for part in parts(mask))


def input_names(mask: Mask) -> list[str]:
    """Names of the model inputs that the expression reads, in order, each once."""
    names: list[str] = []
    match mask["type"]:
        case "input":
            names = [mask["name"]]
        case "label":
            names = [mask["queries"], mask["keys"]]
        case "keys" | "queries":
            rows = mask["of"]
            names = [rows["name"]] if rows["type"] == "rows_input" else [PREFIX] if rows["type"] == PREFIX else []
        case _:
            names = [n for part in parts(mask) for n in input_names(part)]
    return list(dict.fromkeys(names))


def pair_names(mask: Mask) -> set[str]:
    """Names of the inputs that hold one value for each (query, key) pair."""
    own = {mask["name"]} if mask["type"] == "input" else set()
    return own.union(*map(pair_names, parts(mask)))


def row_names(mask: Mask) -> set[str]:
    """Names of the inputs that hold one value for each position."""
    own = set(input_names(mask)) if mask["type"] in ("keys", "queries", "label") else set()
    return own.union(*map(row_names, parts(mask)))


def side_names(mask: Mask, side: str) -> set[str]:
    """Names of the inputs that mark rows as "keys" or as "queries"."""
    own = {mask["of"]["name"]} if mask["type"] == side and mask["of"]["type"] == "rows_input" else set()
    return own.union(*(side_names(part, side) for part in parts(mask)))


def label_names(mask: Mask) -> list[tuple[str, str]]:
    """Names of the inputs that label queries and keys, one pair for each `label` atom."""
    own = [(mask["queries"], mask["keys"])] if mask["type"] == "label" else []
    return own + [pair for part in parts(mask) for pair in label_names(part)]


def shows_itself(mask: Mask) -> bool:
    """True where every query surely sees a key at its own slot, so that no row is empty but padding."""
    match mask["type"]:
        case "and" | "by_head" | "by_length":
            return all(map(shows_itself, parts(mask)))
        case "or":
            return any(map(shows_itself, parts(mask)))
    return mask["type"] in ("full", "causal", "self", "window", "segment", "strided", "fixed", "top_blocks")


def by_inputs(mask: Mask) -> bool:
    """True where the mask follows from given pairs and labels alone, whatever the slots of queries and keys."""
    if mask["type"] in ("and", "or", "not"):
        return all(map(by_inputs, parts(mask)))
    return mask["type"] in ("full", "input", "label")
