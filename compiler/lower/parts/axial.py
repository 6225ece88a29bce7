"""Learned positions, one table for each axis of a grid."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    params = {f"axis_{i}": f"{home}.axis_{i}.weight" for i in range(len(part.shape))}
    fields: dict[str, Any] = {"shape": list(part.shape), "widths": list(part.widths)}
    return s.b.node("axial_positions", given["positions"], at=at, params=params, kind="embedding", **fields)
