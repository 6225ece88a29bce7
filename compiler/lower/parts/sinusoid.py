"""Sines and cosines of the positions."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    fields = {"width": s.d_model, "layout": part.layout, "ladder": part.ladder, "offset": part.offset}
    return s.b.node("sinusoid", given["positions"], at=at, **fields)
