"""Rules across fields, checked once every number is concrete. A rule returns None or (field, message)."""

from collections.abc import Callable, Mapping
from typing import Any

from archspec.spec.attention import Attention

Problem = tuple[str, str] | None
Rule = Callable[[Any, Mapping[str, Any]], Problem]


def _kv_heads(op: Any, scope: Mapping[str, Any]) -> Problem:
    if op.n_heads % op.n_kv_heads:
        return "n_kv_heads", f"found {op.n_kv_heads}; n_heads ({op.n_heads}) must be a multiple of n_kv_heads"
    return None


RULES: dict[type, tuple[Rule, ...]] = {Attention: (_kv_heads,)}
