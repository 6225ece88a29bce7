"""Blocks and entries written out: `like`, `set` and `repeat` become one unresolved body for each kind of layer."""

import json
from dataclasses import dataclass, field
from typing import Any

from archspec.spec import pointer
from archspec.spec.error import Path, SpecError, unknown
from archspec.spec.load import validated
from archspec.spec.numbers import Scope
from archspec.spec.steps import Body
from archspec.spec.tree import Entry, Like, Repeat, Stack, Steps, Use

MAX_LAYERS = 100_000


@dataclass
class Unresolved:
    """One kind of layer: its body as declared and where it stands in the document."""

    body: Body
    path: Path
    origin: dict[tuple[str, ...], Path] = field(default_factory=dict)  # places that a `set` put in -> where it stands

    def place(self, path: Path) -> Path:
        """Where a place of this body stands in the author's document."""
        inner = tuple(str(part) for part in path[len(self.path) :])
        for prefix in sorted(self.origin, key=len, reverse=True):
            if inner[: len(prefix)] == prefix:
                return (*self.origin[prefix], *path[len(self.path) + len(prefix) :])
        return path


@dataclass(frozen=True)
class Placed:
    """One layer: its kind and the name of its shared weights."""

    kind: int
    weights: str | None


def expand(name: str, stack: Stack, scope: Scope) -> tuple[list[Unresolved], list[Placed]]:
    """The kinds of layers of a stack (blocks that no layer uses come last) and the layers in order.

    Raises SpecError for names that do not exist.
    """
    blocks = _Blocks(stack, ("stacks", name), scope.file)
    kinds: list[Unresolved] = []
    index: dict[tuple[str, str], int] = {}

    def place(entry: Use, path: Path) -> Placed:
        key = (entry.block, json.dumps(entry.set, sort_keys=True) if entry.set else "")
        if key not in index:
            block = blocks.get(entry.block, (*path, "block"))
            index[key] = len(kinds)
            kinds.append(blocks.varied(block, entry.set, (*path, "set")) if entry.set else block)
        return Placed(index[key], entry.weights)

    def flat(entries: tuple[Entry, ...], path: Path) -> list[Placed]:
        out: list[Placed] = []
        for i, entry in enumerate(entries):
            if isinstance(entry, Repeat):
                inner = flat(entry.of, (*path, i, "of"))
                times = Scope(entry, scope, (*path, i), scope.file).number("repeat")
                if times * len(inner) + len(out) > MAX_LAYERS:
                    raise SpecError(f"more than {MAX_LAYERS} layers", scope.file, (*path, i, "repeat"))
                out += inner * times
            else:
                out.append(place(entry, (*path, i)))
        return out

    layers = flat(stack.layers, ("stacks", name, "layers"))
    used = {id(kind) for kind in kinds}
    unused = [blocks.get(block, ("stacks", name, "blocks", block)) for block in stack.blocks]
    return kinds + [kind for kind in unused if id(kind) not in used], layers


class _Blocks:
    """The named blocks of a stack, `like` worked out on demand."""

    def __init__(self, stack: Stack, base: Path, file: str) -> None:
        self.stack, self.base, self.file = stack, base, file
        self.done: dict[str, Unresolved] = {}
        self.busy: list[str] = []

    def get(self, name: str, asked_at: Path) -> Unresolved:
        if name not in self.stack.blocks:
            raise unknown("block", name, self.stack.blocks, self.file, asked_at)
        if name not in self.done:
            if name in self.busy:
                circle = " -> ".join([*self.busy, name])
                raise self._error(f"blocks are like each other in a circle: {circle}", asked_at)
            self.busy.append(name)
            path = (*self.base, "blocks", name)
            block = self.stack.blocks[name]
            if isinstance(block, Like):
                parent = self.get(block.like, (*path, "like"))
                self.done[name] = self.varied(parent, block.set, (*path, "set"))
            else:
                self.done[name] = Unresolved(block.steps, path)
            self.busy.pop()
        return self.done[name]

    def varied(self, parent: Unresolved, changes: dict[str, Any], path: Path) -> Unresolved:
        """`parent` with whole values replaced; errors point at the `set`."""
        document: Any = Steps.model_construct(steps=parent.body).model_dump(mode="json", exclude_unset=True)["steps"]
        origin = dict(parent.origin)
        for where, value in changes.items():
            try:
                parts = pointer.split(where)
                document = pointer.replaced(document, parts, value)
            except ValueError as error:
                raise self._error(str(error), (*path, where)) from None
            origin = {k: v for k, v in origin.items() if k[: len(parts)] != tuple(parts)}
            origin[tuple(parts)] = (*path, where)
        varied = Unresolved((), parent.path, origin)
        try:
            varied.body = validated(Steps, {"steps": document}, (), self.file).steps
        except SpecError as error:
            raise SpecError(error.message, self.file, varied.place((*parent.path, *error.parts[1:]))) from None
        return varied

    def _error(self, message: str, path: Path) -> SpecError:
        return SpecError(message, self.file, path)
