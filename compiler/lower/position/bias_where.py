"""A constant added to the scores where a mask is true."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.masks import lowered, mask_inputs


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    mask = lowered(s, term.mask, int(s.type_of(q).shape[1]), at, content=False)
    names, given = mask_inputs(s, mask, q, k)
    apart = s.type_of(q).shape[2] != s.type_of(k).shape[2]
    more: dict[str, Any] = {"apart": True} if apart else {}
    bias = s.b.node("mask_bias", q, k, *given, at=at, mask=mask, add=term.add, mask_inputs=names, **more)
    return q, k, [(bias, "after_scale")]
