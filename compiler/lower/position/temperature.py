"""Queries that grow sharper with their position."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    q = s.b.node("temperature", q, s.capture("positions"), at=f"{at}.q", floor=term.floor, scale=term.scale)
    return q, k, []
