"""Position terms of an attention: their names, and what they say of keys that are no tokens."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.find import find


def name(op: Any, i: int) -> str:
    """The name of a position term in parameter paths: its type, numbered from the second of a type on."""
    kind = op.position[i].type
    earlier = sum(term.type == kind for term in op.position[:i])
    return f"{kind}_{earlier + 1}" if earlier else str(kind)


def check_beside(s: Scope, op: Any, what: str, at: str) -> None:
    """Refuse what keys that stand at places of their own, and are hidden by them, cannot stand beside yet."""
    for wrong, beside in (
        (op.source != "self" or s.axes > 1, "of another source"),
        (op.softcap, "under a softcap"),
        (any(term.type != "relative_vectors" for term in op.position), "beside positions other than relative vectors"),
        (op.empty_rows != "zeros", "where empty rows see all"),
        (op.key_map, "beside a key map"),
        (s.memory.get("near"), "beside others of the kind"),
    ):
        if wrong:
            s.refuse(f"{what} {beside}", at)


def scores(s: Scope, op: Any, q: str, k: str, home: str, at: str) -> list[str]:
    """What the position terms add to the scores of keys at the places in `s.memory`; q as the terms met it."""
    places, found = (s.memory["near"], s.memory["number"]), []
    for i, term in enumerate(op.position):
        module: Any = find("position", term.type)
        found.append(module.scores(s, term, q, k, places, f"{home}.{name(op, i)}", f"{at}.{name(op, i)}"))
    return found
