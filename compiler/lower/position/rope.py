"""Rotary positions on q and k, and on v where a term says so."""

from collections.abc import Sequence
from typing import Any

from compiler.lower.context import Poolings, Scope


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    return side(s, term, q, "q", at), side(s, term, k, "k", at), []


def side(s: Scope, term: Any, x: str, role: str, at: str) -> str:
    """The queries ("q") or the keys ("k") alone: (B, heads, S, D)."""
    positions, fields = _positions(s, term, x, s.own if role == "q" else s.theirs, at), _fields(s, term, at)
    if role in term.rotates:
        x = s.b.node("rope", x, positions, at=f"{at}.{role}", **fields)
    if term.decay_base is None:
        return x
    placed = {name: fields[name] for name in ("dims", "offset", "pairing", "at_least")}
    sign = 1 if role == "q" else -1
    return s.b.node("position_decay", x, positions, at=f"{at}.{role}.decay", sign=sign, base=term.decay_base, **placed)


def values(s: Scope, terms: Sequence[Any], v: str, at: str) -> str:
    """v (B, H, S, d_value) turned by those of an attention's terms that say so."""
    for i, term in enumerate(terms):
        if term.type == "rope" and "v" in term.rotates:
            v = s.b.node(
                "rope", v, _positions(s, term, v, s.theirs, at), at=f"{at}.v.turned_{i}", **_fields(s, term, at)
            )
    return v


def _positions(s: Scope, term: Any, x: str, poolings: Poolings, at: str) -> str:
    rows = s.type_of(x).shape[2]
    kind = term.scaling and term.scaling.type
    if kind in ("by_length", "dynamic") and not str(rows).isidentifier():
        s.refuse(f"rope scaling {kind!r} over {rows} rows, which do not tell the length of the text", at)
    return s.capture_of("positions", poolings) if term.ids is None else s.capture_input(term.ids, ("B", rows))


def _fields(s: Scope, term: Any, at: str) -> dict[str, Any]:
    scaling = None if term.scaling is None else term.scaling.model_dump(mode="json", exclude_none=True)
    return {
        "theta": term.theta, "dims": term.dims, "pairing": term.pairing, "offset": term.offset, "ladder": term.ladder,
        "scaling": scaling, "max_length": s.max_length, "at_least": s.at_least["rotary"],
    }  # fmt: skip
