"""Model inputs that a mask expression reads."""

from typing import Any

from compiler.lower.context import Scope
from compiler.masks.facts import input_names, label_names, pair_names


def mask_inputs(s: Scope, mask: Any, q: str, k: str) -> tuple[list[str], list[str]]:
    """Names and values of the inputs that the mask reads: pairs (B, S, T) for `input` atoms, else rows (B, T)."""
    names = input_names(mask)
    total = s.type_of(s.capture("attention_mask")).shape[1] if names else 0
    pairs, keys = pair_names(mask), s.type_of(k).shape[2]
    queries = keys if s.stream_place(s.reading) else s.type_of(q).shape[2]
    labels = label_names(mask)
    lengths = {name: s.type_of(q).shape[2] for name, _ in labels}
    lengths |= {name: total if keys == "S" else keys for _, name in labels}
    given = [
        s.at_queries(s.capture_input(name, ("B", queries, keys)))
        if name in pairs
        else s.capture_input(name, ("B", lengths.get(name, total)), "zeros" if name == "prefix" else None)
        for name in names
    ]
    return names, given
