"""What a rule is, and three that many ops share.

A rule takes an object whose numbers are concrete and the numbers of the objects around it, and returns None or
(field, message).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Around = Mapping[str, Any]
Problem = tuple[str, str] | None
Rule = Callable[[Any, Around], Problem]


def kv_heads(op: Any, around: Around) -> Problem:
    if op.n_heads % op.n_kv_heads:
        return "n_kv_heads", f"found {op.n_kv_heads}; n_heads ({op.n_heads}) must be a multiple of n_kv_heads"
    return None


def distinct(field: str) -> Rule:
    def rule(op: Any, around: Around) -> Problem:
        names = getattr(op, field)
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        return (field, f"{twice!r} stands twice") if twice else None

    return rule


def norm_groups(place: str, widths: Callable[[Any], Iterable[int | None]]) -> Rule:
    """The groups of a norm at `place` divide what it norms; `widths` of the op, None where there is none."""

    def rule(op: Any, around: Around) -> Problem:
        norm = op
        for name in place.split("/"):
            norm = getattr(norm, name, None)
        if norm is None or norm.type != "group":
            return None
        wrong = next((width for width in widths(op) if width is not None and width % norm.groups), None)
        if wrong is None:
            return None
        return f"{place}/groups", f"found {norm.groups}; the width ({wrong}) must be a multiple of it"

    return rule
