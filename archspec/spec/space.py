"""Search spaces: a spec with holes, filled by what a mapping answers or a sampler suggests.

`Space.draw` walks the document and asks for each hole that exists, once; `fill` answers from a mapping, a sampler
answers by suggesting.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.spec import pointer
from archspec.spec.error import Path as Place
from archspec.spec.error import SpecError, unknown
from archspec.spec.hole_forms import MAX_LAYERS, Layout, hole_key
from archspec.spec.holes import Hole, Value, collect, references
from archspec.spec.load import check_depth, load_spec, read_json
from archspec.spec.resolve import resolve, written_out


class Space:
    """A checked document with holes."""

    def __init__(self, document: dict[str, Any], file: str = "") -> None:
        self.document, self.file = document, file
        self._named: dict[str, tuple[Hole, Any]] = {}
        for hole, form in collect(document, (), (), file):
            if hole.name in self._named:
                raise SpecError(f"two holes are named {hole.name!r}; use $ref to repeat one", file, hole.place)
            self._named[hole.name] = (hole, form)
        for name, place in references(document, ()):
            if name not in self._named and not any(known.startswith(f"{name}/") for known in self._named):
                raise unknown("hole", name, self._named, file, place)

    def holes(self) -> tuple[Hole, ...]:
        """All holes, each with the conditions under which it exists."""
        return tuple(hole for hole, _ in self._named.values())

    def draw(self, pick: Callable[[Hole], Value]) -> tuple[dict[str, Any], dict[str, Value]]:
        """The document with every hole filled by what `pick` answers, and the answers; raises InputError."""
        walk = _Walk(self, pick)
        return walk.filled(self.document, ()), walk.values

    def fill(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """The spec document for these values; values of holes that do not exist under them are ignored."""

        def pick(hole: Hole) -> Value:
            if hole.name not in values:
                raise SpecError(f"no value for the hole {hole.name!r}", self.file, hole.place)
            return values[hole.name]

        return self.draw(pick)[0]

    def check(self) -> None:
        """The first two steps of validation: the tree at first values is a valid spec; every other value of every hole
        is right alone at its place. Rules across fields are checked for each proposal, by `resolve`."""
        document, _ = self.draw(Hole.first)
        resolve(load_spec(document, self.file))
        for hole in self.holes():
            for value in hole.samples():
                wanted = {name: values[0] for name, values in hole.when} | {hole.name: value}
                document, used = self.draw(lambda h, wanted=wanted: wanted.get(h.name, h.first()))  # type: ignore[misc]
                if hole.name not in used:
                    continue
                try:
                    written_out(load_spec(document, self.file))
                except InputError as error:
                    at = f" (at {error.path})" if error.path else ""
                    raise SpecError(f"with {value!r} here: {error.message}{at}", self.file, hole.place) from None


def load_space(source: Path | str | dict[str, Any], name_for_errors: str = "") -> Space:
    """A space from a file or from JSON already parsed, fully checked; raises InputError."""
    if isinstance(source, dict):
        check_depth(source, name_for_errors)
        space = Space(copy.deepcopy(source), name_for_errors)
    else:
        space = Space(read_json(Path(source)), name_for_errors or str(source))
    space.check()
    return space


class _Walk:
    """One pass through the document; each hole is asked for once."""

    def __init__(self, space: Space, pick: Callable[[Hole], Value]) -> None:
        self.space, self.pick = space, pick
        self.values: dict[str, Value] = {}
        self.busy: set[str] = set()
        self.contents: dict[str, Any] = {}  # hole -> what it put into the document, for $ref

    def filled(self, value: Any, place: Place) -> Any:
        if isinstance(value, list):
            return [self.filled(item, (*place, i)) for i, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        key = hole_key(value)
        if key is None:
            return {name: self.filled(item, (*place, name)) for name, item in value.items()}
        if key == "$ref":
            return self.content(value["$ref"])
        if key == "$if":
            chosen = "then" if self.answer(value["$if"]["hole"]) in value["$if"]["in"] else "else"
            return self.filled(value[chosen], (*place, chosen))
        name = value.get("as") or pointer.shown(place)
        if key == "$layout":
            return self.layout(name, value["$layout"], place)
        return self.content(name)

    def answer(self, name: str) -> Value:
        """The value of a hole."""
        if name not in self.values:
            if name not in self.space._named:
                raise SpecError(f"no hole {name!r}", self.space.file, ())
            hole, _ = self.space._named[name]
            value = self.pick(hole)
            if problem := hole.problem(value):
                raise SpecError(f"hole {name!r}: {problem}", self.space.file, hole.place)
            self.values[name] = value
        return self.values[name]

    def content(self, name: str) -> Any:
        """What a hole puts into the document."""
        if name not in self.contents:
            if name not in self.space._named:
                raise SpecError(f"{name!r} is a layout, which cannot be repeated by $ref", self.space.file, ())
            hole, form = self.space._named[name]
            if name in self.busy:
                raise SpecError(f"the hole {name!r} refers to itself", self.space.file, hole.place)
            self.busy.add(name)
            value = self.answer(name)
            if hole.kind == "choice" and isinstance(form, dict) and "$choice" in form:
                index = next(i for i, label in enumerate(hole.choices) if label == value and type(label) is type(value))
                self.contents[name] = self.filled(form["$choice"][index], (*hole.place, "$choice", index))
            else:
                self.contents[name] = value
        return copy.deepcopy(self.contents[name])

    def layout(self, name: str, body: dict[str, Any], place: Place) -> list[Any]:
        layers = self.filled(body["layers"], (*place, "$layout", "layers"))
        if type(layers) is not int or not 1 <= layers <= MAX_LAYERS:
            message = f"found {layers!r} layers; allowed: a whole number from 1 to {MAX_LAYERS}"
            raise SpecError(message, self.space.file, place)
        names = Layout(name, tuple(body["of"]), layers, body["form"]).entries(self.answer)
        return _runs(names)


def _runs(names: list[str]) -> list[Any]:
    """Entries for these blocks: equal neighbours become a repeat."""
    entries: list[Any] = []
    start = 0
    for i in range(1, len(names) + 1):
        if i == len(names) or names[i] != names[start]:
            entries.append({"repeat": i - start, "of": [names[start]]} if i - start > 1 else names[start])
            start = i
    return entries
