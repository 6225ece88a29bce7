"""What a rule is, and two that many ops share.

A rule takes an object whose numbers are concrete and the numbers of the objects around it, and returns None or
(field, message).
"""

from collections.abc import Callable, Mapping
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
