"""A declared mask as the operators read it, and the model inputs that it reads."""

from typing import Any

from archspec.errors import InputError
from compiler.lower.context import Poolings, Scope
from compiler.masks.facts import (
    PREFIX,
    by_inputs,
    by_total,
    holds,
    input_names,
    label_names,
    pair_names,
    row_names,
    side_names,
)


def lowered(s: Scope, mask: Any, heads: int, at: str, content: bool = True) -> dict[str, Any]:
    """The expression as plain data; random blocks know how many heads draw and the longest sequence.

    content: whether blocks may be chosen by queries and keys here.
    """
    plain: dict[str, Any] = mask.model_dump(mode="json", exclude_none=True)
    if not content and holds(plain, "top_blocks"):
        s.refuse("blocks chosen by their scores here", at)
    _draws(s, plain, heads, at)
    return plain


def _draws(s: Scope, mask: Any, heads: int, at: str) -> None:
    """Fill in what random blocks need, wherever they stand."""
    if isinstance(mask, list | tuple):
        for part in mask:
            _draws(s, part, heads, at)
    elif isinstance(mask, dict):
        if mask.get("type") == "random_blocks":
            if not s.max_length:
                s.refuse("random blocks without a max_length", at)
            if (outside := mask.get("outside")) and (
                input_names(outside) or by_total(outside) or holds(outside, *UNKNOWN)
            ):
                s.refuse("random blocks outside a mask that is not known before the run", at)
            mask |= {"heads": heads, "length": s.max_length}
        for part in mask.values():
            _draws(s, part, heads, at)


UNKNOWN = ("top_blocks", "random_blocks", "by_head")  # not one mask known before the run


def mask_inputs(s: Scope, mask: Any, q: str, k: str) -> tuple[list[str], list[str]]:
    """Names and values of the inputs that the mask reads: pairs (B, S, T) for `input` atoms, else rows (B, T); (B, S)
    for labels of queries over other rows."""
    if s.stream_places.get(s.reading) and not by_inputs(mask):
        s.refuse("a mask by slots for queries that stand at given places", f"/stacks/{s.stack}")
    names = input_names(mask)
    total = s.type_of(s.capture("attention_mask")).shape[1] if names else 0
    pairs, keys = pair_names(mask), s.type_of(k).shape[2]
    if both := pairs.intersection(row_names(mask)):
        raise InputError(
            f"the input {min(both)!r} is read by pairs and by rows: give one of the two a name of its own",
            source=s.spec_name,
            path=f"/stacks/{s.stack}",
        )
    if names and (s.own or s.theirs):
        if pairs:
            s.refuse("a mask of pairs over pooled rows", f"/stacks/{s.stack}")
        return names, [row_input(s, name, s.own) for name in names]
    queries = keys if s.stream_place(s.reading) else s.type_of(q).shape[2]
    labels, seen = label_names(mask), total if keys == "S" else keys
    own = queries == keys and not s.stream_place(s.reading)  # queries and keys are the same rows
    asking, seeing = {name for name, _ in labels}, {name for _, name in labels}
    if not own and not s.stream_place(s.reading):
        asking, seeing = asking | side_names(mask, "queries"), seeing | side_names(mask, "keys")
    lengths = dict.fromkeys(asking, seen if own else s.type_of(q).shape[2]) | dict.fromkeys(seeing, seen)
    given = [
        s.at_queries(s.capture_input(name, ("B", queries, seen)))
        if name in pairs
        else s.capture_input(name, ("B", lengths.get(name, total)), "zeros" if name == PREFIX else None)
        for name in names
    ]
    return names, given


def row_input(s: Scope, name: str, poolings: Poolings) -> str:
    """An input that marks the stack's rows, of rows pooled so the mark of the first of each: (B, T) or fewer."""
    s.offer_input(name, ("B", s.outer.types["attention_mask"].shape[1]), "zeros" if name == PREFIX else None)
    return s.capture_of(name, poolings)


def marked_rows(s: Scope, rows: Any, h: str, at: str) -> str:
    """Which rows of h (B, S, d) are among `rows`: (B, S)."""
    mask = {"type": "queries", "of": rows.model_dump(mode="json", exclude_none=True)}
    if s.stream_places.get(s.reading):
        s.refuse("rows by their slots that stand at given places", f"/stacks/{s.stack}")
    names = input_names(mask)
    given = [row_input(s, name, s.own) for name in names]  # as masks read them
    return s.b.node("marked_rows", h, h, "", *given, at=f"{at}.marked", mask=mask, mask_inputs=names)
