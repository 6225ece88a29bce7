"""A bare linear layer."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import linear


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    return linear(s, h, s.d_model, home, at, bool(op.bias))
