"""Names: every stream, stack and input that is named must exist."""

from collections.abc import Iterator
from typing import Any

from archspec.spec.attention import StreamKeys
from archspec.spec.error import Path, SpecError, unknown
from archspec.spec.expand import Unresolved
from archspec.spec.masks import Sees, SegmentNamed
from archspec.spec.node import Node
from archspec.spec.steps import ConcatRead, FirstPresentRead, Read, Resample, Step, SumRead
from archspec.spec.tree import Spec, Stack

RESERVED = ("self", "input", "zero")


def check_names(spec: Spec, kinds: dict[str, list[Unresolved]]) -> dict[str, dict[str, set[int]]]:
    """Stack -> the other stacks that it reads, by first use -> which of its kinds of layers do; raises SpecError."""
    reads = {name: _Stack(spec, name, kinds[name]).check() for name in spec.stacks}
    if spec.output is not None and spec.output not in spec.stacks:
        raise unknown("stack", spec.output, spec.stacks, spec._file, ("output",))
    return reads


def read_names(read: Read) -> tuple[str, ...]:
    """The streams of a read."""
    match read:
        case ConcatRead(concat=names) | SumRead(sum=names) | FirstPresentRead(first_present=names):
            return names
        case str():
            return (read,)
    raise AssertionError(read)


def nodes(value: Any, path: Path) -> Iterator[tuple[Node, Path]]:
    """Every node in `value`, outer ones first, with its place."""
    if isinstance(value, Node):
        yield value, path
        for name, item in value.__dict__.items():
            if isinstance(item, Node | tuple):
                yield from nodes(item, (*path, name))
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            if isinstance(item, Node):
                yield from nodes(item, (*path, i))


class _Stack:
    def __init__(self, spec: Spec, name: str, kinds: list[Unresolved]) -> None:
        self.spec, self.name, self.stack, self.kinds = spec, name, spec.stacks[name], kinds
        self.inputs = [item.name for item in self.stack.input]
        self.streams = _streams(self.stack, kinds)
        self.reads: dict[str, set[int]] = {}

    def check(self) -> dict[str, set[int]]:
        self._inputs()
        self._declared()
        for number, kind in enumerate(self.kinds):
            for i, step in enumerate(kind.body):
                for source in self._step(step, (*kind.path, i), kind):
                    self.reads.setdefault(source, set()).add(number)
        for name in read_names(self.stack.final_read):
            if name not in (*self.streams, "input"):
                raise unknown("stream", name, self.streams, self.spec._file, ("stacks", self.name, "final_read"))
        return self.reads

    def _inputs(self) -> None:
        for i, name in enumerate(self.inputs):
            if name in RESERVED:
                raise self._error(f"an input cannot be named {name!r}", "input", i, "name")
            if name in self.inputs[:i]:
                raise self._error(f"two inputs are named {name!r}", "input", i, "name")

    def _declared(self) -> None:
        for stream, source in self.stack.streams.items():
            if stream in RESERVED:
                raise self._error(f"a stream cannot be named {stream!r}", "streams", stream)
            if source not in (*self.inputs, "zero", "input"):
                path = ("stacks", self.name, "streams", stream)
                raise unknown("input", source, [*self.inputs, "zero"], self.spec._file, path)
        for stream in self.streams:
            if stream in self.spec.stacks:
                raise self._error(f"{stream!r} names both a stream and a stack")

    def _step(self, step: Step, path: Path, kind: Unresolved) -> Iterator[str]:
        """Checks the names in a step; yields the stacks that it reads."""
        for node, place in nodes(step, path):
            place = kind.place(place)
            if hasattr(node, "read") and hasattr(node, "write"):
                for name in read_names(node.read):
                    allowed = self.streams if isinstance(node, Resample) else [*self.streams, "input"]
                    if name not in allowed:
                        raise unknown("stream", name, allowed, self.spec._file, (*place, "read"))
            elif isinstance(node, StreamKeys):
                yield from self._source(node.name, (*place, "name"))
            elif isinstance(node, Sees) or getattr(node, "source", "self") != "self":
                yield from self._source(node.__dict__["source"], (*place, "source"))
            elif isinstance(node, SegmentNamed) and node.name not in self.inputs:
                raise unknown("input", node.name, self.inputs, self.spec._file, (*place, "name"))

    def _source(self, name: str, path: Path) -> Iterator[str]:
        if name in self.streams or name == "input":
            return
        if name not in self.spec.stacks:
            raise unknown("source", name, [*self.streams, *self.spec.stacks], self.spec._file, path)
        yield name

    def _error(self, message: str, *below: str | int) -> SpecError:
        return SpecError(message, self.spec._file, ("stacks", self.name, *below))


def _streams(stack: Stack, kinds: list[Unresolved]) -> tuple[str, ...]:
    """The streams of a stack: declared ones, then those that some step writes."""
    found = dict.fromkeys(stack.streams or ["x"])
    for kind in kinds:
        for node, _ in nodes(kind.body, ()):
            if hasattr(node, "read") and hasattr(node, "write"):
                found.setdefault(node.write, None)
    return tuple(found)
