"""Token embeddings."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    params = {"weight": f"{home}.weight"}
    return s.b.node("embedding", given["ids"], at=at, params=params, kind="embedding", rows=part.size, width=part.width)
