"""Token type (segment) embeddings."""

from typing import Any

from compiler.ir.types import TensorType
from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    ids = s.b.input(part.name, TensorType("int", s.type_of(given["ids"]).shape[:2]))
    params = {"weight": f"{home}.weight"}
    return s.b.node("embedding", ids, at=at, params=params, kind="embedding", rows=part.size, width=part.width)
