"""Rules of attention: what its keys, positions, masks and norms say of each other."""

from collections.abc import Iterator
from typing import Any

from archspec.spec.rule import Around, Problem


def memory(op: Any, around: Around) -> Problem:
    """Rows before the first token, and slots of tokens that left, stand at places of the attention's own tokens."""
    found = [i for i, keys in enumerate(op.extra_keys) if keys.type in ("zeros", "compressed_past")]
    if found and op.source != "self":
        kind = op.extra_keys[found[0]].type
        return f"extra_keys/{found[0]}", f"{kind} stand before the own tokens; keys of {op.source!r} have no such place"
    if len(found) > 1:
        kinds = " and ".join(op.extra_keys[i].type for i in found[:2])
        return f"extra_keys/{found[1]}", f"{kinds} would stand at the same places before the tokens"
    return None


def own_blocks(op: Any, around: Around) -> Problem:
    """A query chooses among the blocks before its own one, by the scores that it has."""
    if op.source != "self" and _holds(op.mask, "top_blocks"):
        return "mask", f"top_blocks counts from the query's own block, and it has none among the keys of {op.source!r}"
    for i, term in enumerate(op.position):
        if term.type == "bias_where" and _holds(term.mask, "top_blocks"):
            return f"position/{i}/mask", "top_blocks chooses by the scores, to which this bias is added"
    return None


def qk_widths(op: Any) -> tuple[int, ...]:
    """What a norm of q and k goes over."""
    if op.qk_norm.scope == "width":
        return op.n_heads * op.d_head, op.n_kv_heads * op.d_head
    return (op.d_head,)


def inner_widths(op: Any) -> tuple[int, ...]:
    """What a norm of the heads' values goes over."""
    return (op.d_value if op.inner_norm.scope == "head" else op.n_heads * op.d_value,)


def _holds(mask: Any, kind: str) -> bool:
    return mask.type == kind or any(_holds(part, kind) for part in _parts(mask))


def _parts(mask: Any) -> Iterator[Any]:
    """The expressions directly inside a mask."""
    if mask.type in ("and", "or", "by_head"):
        yield from mask.of
    elif mask.type == "not":
        yield mask.of
    elif mask.type == "by_length":
        yield from (mask.then, mask.otherwise)
