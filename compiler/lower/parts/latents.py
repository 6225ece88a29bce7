"""Learned rows, the same for every sequence."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    like = next(iter(s.outer.main.inputs), None)
    if like is None:
        s.refuse("learned rows before any input that tells the batch", f"/stacks/{s.stack}/input")
    params = {"weight": f"{home}.weight"}
    return s.b.node("latents", like, at=at, params=params, kind="embedding", count=part.count, width=s.d_model)
