"""Steps that change how many rows a stream has, and what tells where pooled rows stand."""

from typing import Any

from archspec.errors import InputError
from compiler.lower.context import Poolings, Scope


def lower(s: Scope, step: Any, at: str) -> None:
    """A mean of every so many rows, or such rows repeated until they are as many as before they were pooled."""
    how, pooled = step.resample, s.pooled.get(step.read, ())
    if s.stream_places.get(step.read) or s.axes > 1:
        s.refuse("rows pooled that stand at given places or on a grid", f"/stacks/{s.stack}")
    if how.type == "mean_pool":
        fields = {"stride": how.stride, "keep_first": how.keep_first}
        s.streams[step.write] = s.b.node("pool_rows", s.streams[step.read], at=at, **fields)
        s.pooled[step.write] = (*pooled, (how.stride, how.keep_first))
        return
    s.own = undone(s, pooled, how.factor, how.keep_first)
    fields = {"factor": how.factor, "keep_first": how.keep_first}
    like = s.capture("positions")
    s.streams[step.write] = s.b.node("repeat_rows", s.streams[step.read], like, at=at, **fields)
    s.pooled[step.write] = s.own


def undone(s: Scope, pooled: Poolings, factor: int, keep_first: bool) -> Poolings:
    """What is left of the poolings when the last ones, whose strides make up `factor`, are taken back."""
    left, times = pooled, 1
    while left and times < factor and left[-1][1] == keep_first:
        times, left = times * left[-1][0], left[:-1]
    if times != factor:
        told = ", ".join(f"{stride}{', the first row kept' if kept else ''}" for stride, kept in pooled) or "none"
        raise InputError(
            f"repeat takes back the last poolings, whose strides must make up its factor {factor}; found: {told}",
            source=s.spec_name, path=f"/stacks/{s.stack}",
        )  # fmt: skip
    return left


def spacing(pooled: Poolings) -> list[int]:
    """[stride, first]: pooled row n stands at first + stride·n of the rows that were there before any pooling.

    A group stands where its first row does; a first row that is kept fills a group that ends with it.
    """
    stride, first = 1, 0
    for times, keep_first in pooled:
        first -= (times - 1) * stride if keep_first else 0
        stride *= times
    return [stride, first]


def of_read(s: Scope, what: Any, at: str) -> Poolings:
    """The poolings behind a Read of the spec, which may join streams of equal rows only."""
    names = [what] if isinstance(what, str) else next(iter(what.model_dump().values()))
    found = {s.pooled.get(name, ()) for name in names if name in s.streams}
    if len(found) > 1:
        s.refuse("a read of streams of different lengths", at)
    return next(iter(found), ())
