"""A layer body: branches in the language's order of operations.

u = read; h = pre_norm(u); y = op(h); y = out_norm(y); y = gate·y; s = keep·r + scale·y; write ← sum_norm(s).
"""

from collections.abc import Iterator
from typing import Any

from archspec.spec.resolved import branch_names
from archspec.spec.steps import Body, Branch, Parallel
from compiler.lower import resample, rows
from compiler.lower.context import Scope
from compiler.lower.find import find
from compiler.lower.pointwise import learned_gate, norm, projected_gate


def lower_body(s: Scope, body: Body) -> None:
    """All steps of one layer; `s.streams` holds the streams before and after."""
    names = iter(branch_names(body))
    for step in body:
        if isinstance(step, Branch):
            s.streams[step.write] = branch(s, step, next(names), s.streams, None)
            s.pooled[step.write] = s.own
        elif isinstance(step, Parallel):
            parallel(s, step, names)
        else:
            resample.lower(s, step, f"{step.write}.resampled")


def parallel(s: Scope, step: Any, names: Iterator[str]) -> None:
    """Branches that all read the values from before the step; a later write adds to what earlier ones left."""
    before = dict(s.streams)
    shared: str | None = None
    pooled = dict(s.pooled)
    for part in step.parallel:
        name = next(names)
        if step.pre_norm is not None and shared is None:
            shared = norm(s, step.pre_norm, read(s, part.read, before, name), f"{s.slot}.pre_norm", "pre_norm")
        s.streams[part.write] = branch(s, part, name, before, shared)
        pooled[part.write] = s.own
    s.pooled = pooled


def branch(s: Scope, part: Any, name: str, before: dict[str, str], normed: str | None) -> str:
    """The new value of the stream that the branch writes. `normed`: the shared pre_norm of a parallel step."""
    module = find("mixers", part.op.type)
    if module is None:
        s.refuse(f"op {part.op.type!r}", f"/stacks/{s.stack}")
    home = f"{s.slot}.{name}"
    s.reading, s.before = part.read if isinstance(part.read, str) else "", before
    s.own = s.theirs = resample.of_read(s, part.read, name)
    adds = part.rows is not None or part.residual.type == "gru" or getattr(part.residual, "of", "") == "stream"
    if adds and s.own != s.pooled.get(part.write, ()):
        s.refuse("a branch that adds to rows of another length", f"/stacks/{s.stack}")
    h = normed or read(s, part.read, before, name)
    old = s.streams.get(part.write, "")
    chosen = rows.choose(s, part, h, old, name) if part.rows is not None else None
    h, r = (chosen.read, chosen.write) if chosen is not None else (h, old)
    if part.pre_norm is not None:
        h = norm(s, part.pre_norm, h, f"{home}.pre_norm", f"{name}.pre_norm")
    y = module.lower(s, part.op, h, s.owner(home, getattr(part.op, "weights", None)), name)
    if part.out_norm is not None:
        y = norm(s, part.out_norm, y, f"{home}.out_norm", f"{name}.out_norm")
    if part.gate is not None:
        y = gate(s, part.gate, y, h, f"{home}.branch_gate", f"{name}.branch_gate")
    match part.residual.type:
        case "add":
            r = r if part.residual.of == "stream" else h
            y = s.b.node("add", r, y, at=f"{name}.sum", left=part.residual.keep, right=part.residual.scale)
        case "gru":
            path = s.owner(f"{home}.gru", part.residual.weights)
            roles = ("input_weight", "hidden_weight", "input_bias", "hidden_bias")
            y = s.b.node("gru", r, y, at=f"{name}.sum", params={role: f"{path}.{role}" for role in roles})
    if part.sum_norm is not None:
        y = norm(s, part.sum_norm, y, f"{home}.sum_norm", f"{name}.sum_norm")
    return rows.put_back(s, chosen, old, y, name) if chosen is not None else y


def gate(s: Scope, declared: Any, y: str, h: str, path: str, at: str) -> str:
    """y · fn(g): g learned, or projected from the branch input h."""
    home = s.owner(path, declared.weights)
    if declared.type == "learned":
        return learned_gate(s, declared, y, home, at)
    return projected_gate(s, declared, y, h, s.width(y), home, at)


def read(s: Scope, what: Any, streams: dict[str, str], at: str) -> str:
    """A Read of the spec: a stream, the stack's input, or streams joined or added."""
    if isinstance(what, str):
        return streams[what] if what in streams else s.capture(what)
    if hasattr(what, "concat"):
        return s.b.node("concat", *(read(s, v, streams, at) for v in what.concat), at=f"{at}.read", axis=-1)
    if hasattr(what, "sum"):
        first, *rest = (read(s, v, streams, at) for v in what.sum)
        for value in rest:
            first = s.b.node("add", first, value, at=f"{at}.read")
        return first
    for value in what.first_present:
        if value in streams:
            return streams[value]
    s.refuse("a read of streams that are all absent", at)
