"""One learned vector on each row of a mapping (B, rows, S) given at run time."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    one = s.b.node(
        "latents", given["ids"], at=f"{at}.one", params={"weight": f"{home}.weight"}, kind="embedding", count=1,
        width=s.d_model,
    )  # fmt: skip
    return s.b.node("take_rows", one, s.b.node("scale", given["positions"], at=f"{at}.first", by=0), at=at)
