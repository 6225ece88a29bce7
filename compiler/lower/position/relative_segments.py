"""Scores by same segment or another (XLNet)."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    own, other = s.segments(term.ids, q, k)
    path = s.owner(home, term.weights) if hasattr(term, "weights") else home
    params = {"vectors": f"{path}.vectors", "bias": f"{path}.bias"}
    more: dict[str, Any] = {"skip_first": True} if term.skip_first else {}
    scores = s.b.node("relative_segments", q, own, other, at=at, params=params, kind="norm", **more)
    return q, k, [(scores, "before_scale")]
