"""A learned bias for each head and distance (T5)."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    distance = term.distance.model_dump(mode="json", exclude_none=True)
    path = f"{s.owner(home, term.weights)}.weight"
    heads = s.type_of(q).shape[1]
    bias = s.b.node("relative_bias", q, k, at=at, params={"weight": path}, kind="norm", heads=heads, distance=distance)
    return q, k, [(bias, term.at)]
