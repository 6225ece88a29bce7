"""Squares of an image."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    roles = ["weight", *(["bias"] if part.bias else []), *(["class_token"] if part.class_token else [])]
    return s.b.node(
        "patches", given["ids"], at=at, params={role: f"{home}.{role}" for role in roles},
        patch=part.patch, width=s.d_model, class_token=part.class_token, bias=part.bias,
    )  # fmt: skip
