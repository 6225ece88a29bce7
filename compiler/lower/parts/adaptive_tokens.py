"""Token embeddings narrower for rarer tokens."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    roles = ("table", "projection") if part.divide != 1 else ("table",)
    params = {f"{r}_{c}": f"{home}.{r}_{c}.weight" for c in range(len(part.cutoffs) + 1) for r in roles}
    return s.b.node(
        "adaptive_embedding", given["ids"], at=at, params=params, kind="embedding", rows=part.size, width=s.d_model,
        cutoffs=list(part.cutoffs), divide=part.divide,
    )  # fmt: skip
