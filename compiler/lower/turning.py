"""Positions of mixers that have no matrix of scores to add to: they turn or scale queries, keys and values."""

from collections.abc import Sequence
from typing import Any

from compiler.lower.context import Scope
from compiler.lower.find import find
from compiler.lower.position import rope


def turned(s: Scope, terms: Sequence[Any], q: str, k: str, v: str, home: str, at: str) -> tuple[str, str, str]:
    """q, k and v (B, heads, S, D) after every term."""
    for i, term in enumerate(terms):
        module = find("position", term.type)
        if module is None:
            s.refuse(f"position {term.type!r}", f"{at}/position/{i}")
        q, k, biases = module.lower(s, term, q, k, f"{home}.{term.type}", f"{at}.{term.type}")
        if biases:
            s.refuse(f"position {term.type!r}, which adds to scores, here", f"{at}/position/{i}")
    for term in terms:
        if finish := getattr(find("position", term.type), "finish", None):
            q = finish(s, term, q, f"{home}.{term.type}", f"{at}.{term.type}")
    return q, k, rope.values(s, terms, v, at)
