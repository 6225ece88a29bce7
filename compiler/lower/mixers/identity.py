"""The branch input itself."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    return h
