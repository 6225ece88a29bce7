"""Branches that change some rows only: rows told by their place are cut out, marked ones are chosen afterwards."""

from dataclasses import dataclass
from typing import Any

from compiler.ir.types import Dim
from compiler.lower.context import Scope


@dataclass(frozen=True)
class Chosen:
    """What the branch reads and writes: a part of the rows (start, stop), or all of them with `marked` ones kept."""

    read: str
    write: str
    span: tuple[int, int | None] | None = None
    marked: str = ""


def choose(s: Scope, part: Any, h: str, old: str, at: str) -> Chosen:
    """Rows of h and of the written stream `old` that the branch works on."""
    if not old:
        s.refuse("rows of a stream that is not there yet", at)
    found = span(s, part.rows, h)
    if found is None:
        return Chosen(h, old, marked=_marked(s, part.rows, h, at))
    if part.op.type not in ("mlp", "gated_mlp", "moe", "linear", "identity") and (
        getattr(part.op, "source", "self") in ("self", *s.streams) or part.op.position or part.op.mask.type != "full"
    ):
        s.refuse(f"rows of a branch {part.op.type!r} that looks along its own stream", at)
    start, stop, rows = found
    fields: dict[str, Any] = {"start": start, "stop": stop, "rows": rows}
    cut = s.b.node("slice_rows", h, at=f"{at}.rows", **fields)
    kept = cut if h == old else s.b.node("slice_rows", old, at=f"{at}.stream.rows", **fields)
    return Chosen(cut, kept, (start, stop))


def put_back(s: Scope, chosen: Chosen, old: str, y: str, at: str) -> str:
    """The stream with its chosen rows replaced by y."""
    if chosen.span is None:
        return s.b.node("where_rows", old, y, chosen.marked, at=f"{at}.chosen")
    return s.b.node("put_rows", old, y, at=f"{at}.put", start=chosen.span[0], stop=chosen.span[1])


def span(s: Scope, rows: Any, h: str) -> tuple[int, int | None, Dim] | None:
    """(start, stop, how many) of rows told by their place, negative ones from the end; None for any other."""
    match rows.type:
        case "first":
            return 0, rows.count, rows.count
        case "last":
            return -rows.count, None, rows.count
        case "segment_named":
            return _segment(s, rows.name)
    return None


def _segment(s: Scope, name: str) -> tuple[int, int | None, Dim]:
    """Rows of one of the joined inputs: counted from the end where an input of unknown length stands before."""
    names = list(s.segment_rows)
    if name not in names:
        s.refuse(f"rows of {name!r}, which is not one of several joined inputs,", f"/stacks/{s.stack}")
    sizes = list(s.segment_rows.values())
    i = names.index(name)
    before, after = sizes[:i], sizes[i + 1 :]
    start = sum(d for d in before if isinstance(d, int)) if all(isinstance(d, int) for d in before) else None
    stop = -sum(d for d in after if isinstance(d, int)) if all(isinstance(d, int) for d in after) else None
    own = sizes[i]
    if start is None and stop is not None and isinstance(own, int):
        start = stop - own
    if start is None or (stop is None and not isinstance(own, int)):
        s.refuse("rows between inputs of unknown length", f"/stacks/{s.stack}")
    if stop is None:
        assert isinstance(own, int)
        return start, start + own, own
    return start, stop or None, own


def _marked(s: Scope, rows: Any, h: str, at: str) -> str:
    """Marks (B, S) of rows told at run time."""
    shape = s.type_of(h).shape[:2]
    match rows.type:
        case "rows_input":
            return s.capture_input(rows.name, shape)
        case "prefix":
            total = s.type_of(s.capture("attention_mask")).shape[1]  # as masks read it
            return s.capture_input("prefix", (shape[0], total), "zeros")
        case "sees" if rows.source in s.seen:
            look = s.seen[rows.source]
            return s.b.node(
                "marked_rows", h, look["keys"], look["real"], *look["given"], at=f"{at}.marked", mask=look["mask"],
                mask_inputs=look["names"],
            )  # fmt: skip
    s.refuse(f"rows {rows.type!r}", at)
