"""Rotary positions on q and k."""

from typing import Any

from compiler.lower.context import Scope


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    s.only(term, at, decay_base=None)
    if term.scaling is not None and term.scaling.type == "dynamic":
        s.refuse("rope scaling 'dynamic'", at)
    positions = s.capture("positions") if term.ids is None else s.capture_input(term.ids, ("B", s.type_of(q).shape[2]))
    scaling = None if term.scaling is None else term.scaling.model_dump(mode="json", exclude_none=True)
    fields = {"theta": term.theta, "dims": term.dims, "pairing": term.pairing, "offset": term.offset,
              "ladder": term.ladder, "scaling": scaling, "max_length": s.max_length,
              "at_least": s.at_least["rotary"]}  # fmt: skip
    turned = {
        role: s.b.node("rope", x, positions, at=f"{at}.{role}", **fields) if role in term.rotates else x
        for role, x in (("q", q), ("k", k))
    }
    return turned["q"], turned["k"], []
