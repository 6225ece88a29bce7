"""Linear biases: slope of the head times the key's slot (a row's constant does not change its softmax)."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    mask = s.capture("attention_mask")
    fields = {"heads": s.type_of(q).shape[1], "max_bias": term.max_bias, "computed_in": term.computed_in}
    return q, k, [(s.b.node("alibi", mask, at=at, **fields), term.at)]
