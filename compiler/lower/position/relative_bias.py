"""A learned bias for each head and distance (T5)."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.resample import spacing


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    distance = term.distance.model_dump(mode="json", exclude_none=True)
    path = f"{s.owner(home, term.weights)}.weight"
    heads = s.type_of(q).shape[1]
    more: dict[str, Any] = {"spacing": [spacing(s.own), spacing(s.theirs)]} if s.own or s.theirs else {}
    params = {"weight": path}
    bias = s.b.node("relative_bias", q, k, at=at, params=params, kind="norm", heads=heads, distance=distance, **more)
    return q, k, [(bias, term.at)]
