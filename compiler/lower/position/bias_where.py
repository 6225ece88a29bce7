"""A constant added to the scores where a mask is true."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.masks import mask_inputs


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    mask = term.mask.model_dump(mode="json", exclude_none=True)
    names, given = mask_inputs(s, mask, q, k)
    bias = s.b.node("mask_bias", q, k, *given, at=at, mask=mask, add=term.add, mask_inputs=names)
    return q, k, [(bias, "after_scale")]
