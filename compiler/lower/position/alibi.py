"""Linear biases: slope of the head times the key's slot (a row's constant does not change its softmax)."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.resample import spacing


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    mask = s.capture_of("attention_mask", s.theirs)
    fields: dict[str, Any] = {
        "heads": s.type_of(q).shape[1],
        "max_bias": term.max_bias,
        "computed_in": term.computed_in,
    }
    if s.theirs:
        fields["stride"] = spacing(s.theirs)[0]
        return q, k, [(s.b.node("alibi", mask, k, at=at, **fields), term.at)]
    return q, k, [(s.b.node("alibi", mask, at=at, **fields), term.at)]
