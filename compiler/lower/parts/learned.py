"""A learned table by position."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    fields = {"rows": part.size, "width": part.width, "offset": part.offset}
    return s.b.node(
        "embedding", given["positions"], at=at, params={"weight": f"{home}.weight"}, kind="embedding", **fields
    )
