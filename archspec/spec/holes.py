"""Search spaces: a spec with holes, objects with one key that begins with `$`.

A hole inside an option of a `$choice` exists only when that option is taken. `Space.draw` walks the document and asks
for each hole that exists, once; `fill` answers from a mapping, a sampler answers by suggesting.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.spec import pointer
from archspec.spec.error import Path as Place
from archspec.spec.error import SpecError, unknown
from archspec.spec.hole_forms import MAX_LAYERS, Layout, hole_key, parse_hole
from archspec.spec.load import load_spec, read_json
from archspec.spec.resolve import resolve, written_out

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Hole:
    """One value left open. `when`: pairs of (hole, values) that must all hold for this one to exist."""

    name: str
    kind: str  # "choice", "int" or "float"
    choices: tuple[Value, ...] = ()  # the option itself where it is a plain value, else its type or number
    low: float = 0
    high: float = 0
    step: int = 1
    log: bool = False
    when: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    place: Place = field(default=(), compare=False)

    def first(self) -> Value:
        """The value that the space is first checked with."""
        return self.choices[0] if self.kind == "choice" else self._number(self.low)

    def samples(self) -> tuple[Value, ...]:
        """The values that the check tries: every option, both ends of a range."""
        if self.kind == "choice":
            return self.choices
        last = self.low + (self.high - self.low) // self.step * self.step if self.kind == "int" else self.high
        return (self._number(self.low), self._number(last))

    def values(self) -> tuple[Value, ...] | None:
        """All its values, in order; None for a range of real numbers."""
        if self.kind == "int":
            return tuple(range(int(self.low), int(self.high) + 1, self.step))
        return self.choices if self.kind == "choice" else None

    def problem(self, value: Any) -> str | None:
        """None, or why this value is not one of the hole's."""
        if self.kind == "choice":
            known = any(value == option and type(value) is type(option) for option in self.choices)
            return None if known else f"found {value!r}; allowed: {', '.join(map(repr, self.choices))}"
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "int" else int | float):
            return f"found {value!r}; allowed: {'a whole number' if self.kind == 'int' else 'a number'}"
        off_step = self.kind == "int" and (value - self.low) % self.step
        if not self.low <= value <= self.high or off_step:
            step = f" in steps of {self.step}" if self.kind == "int" else ""
            return f"found {value}; allowed: {self.low:g} to {self.high:g}{step}"
        return None

    def _number(self, value: float) -> Value:
        return int(value) if self.kind == "int" else float(value)


class Space:
    """A checked document with holes."""

    def __init__(self, document: dict[str, Any], file: str = "") -> None:
        self.document, self.file = document, file
        self._named: dict[str, tuple[Hole, Any]] = {}
        for hole, form in _collect(document, (), (), file):
            if hole.name in self._named:
                raise SpecError(f"two holes are named {hole.name!r}; use $ref to repeat one", file, hole.place)
            self._named[hole.name] = (hole, form)
        for name, place in _references(document, ()):
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
        space = Space(copy.deepcopy(source), name_for_errors)
    else:
        space = Space(read_json(Path(source)), name_for_errors or str(source))
    space.check()
    return space


def has_holes(document: Any) -> bool:
    """Whether a JSON document is a space rather than a spec."""
    if isinstance(document, dict):
        return hole_key(document) is not None or any(map(has_holes, document.values()))
    return isinstance(document, list) and any(map(has_holes, document))


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


When = tuple[tuple[str, tuple[Value, ...]], ...]


def _collect(value: Any, place: Place, when: When, file: str) -> Iterator[tuple[Hole, Any]]:
    """Every hole below `value`, with its form."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _collect(item, (*place, i), when, file)
    if not isinstance(value, dict):
        return
    key = hole_key(value)
    if key is None:
        for name, item in value.items():
            yield from _collect(item, (*place, name), when, file)
        return
    parse_hole(key, value, place, file)
    name = value.get("as") or pointer.shown(place)
    if key == "$choice":
        labels = _labels(value["$choice"])
        yield Hole(name, "choice", choices=labels, when=when, place=place), value
        for i, option in enumerate(value["$choice"]):
            yield from _collect(option, (*place, "$choice", i), (*when, (name, (labels[i],))), file)
    elif key == "$int":
        low, high, *step = value["$int"]
        yield Hole(name, "int", low=low, high=high, step=step[0] if step else 1, when=when, place=place), value
    elif key == "$float":
        low, high = value["$float"]
        yield Hole(name, "float", low=low, high=high, log=value.get("log", False), when=when, place=place), value
    elif key == "$if":
        hole, among = value["$if"]["hole"], tuple(value["$if"]["in"])
        yield from _collect(value["then"], (*place, "then"), (*when, (hole, among)), file)
        yield from _collect(value["else"], (*place, "else"), when, file)
    elif key == "$layout":
        body = value["$layout"]
        depth_place = (*place, "$layout", "layers")
        inner = list(_collect(body["layers"], depth_place, when, file))
        yield from inner
        layers = body["layers"] if isinstance(body["layers"], int) else _most(inner, depth_place, file)
        for part, choices in Layout(name, tuple(body["of"]), layers, body["form"]).holes():
            yield Hole(part, "choice", choices=choices, when=when, place=place), value


def _most(depths: list[tuple[Hole, Any]], place: Place, file: str) -> int:
    """The largest number of layers that a hole may give."""
    values = [value for hole, _ in depths for value in (hole.samples() if hole.kind != "float" else ())]
    most = max((value for value in values if type(value) is int), default=0)
    if not 1 <= most <= MAX_LAYERS:
        raise SpecError(f"allowed: a number, or a $choice or $int of numbers from 1 to {MAX_LAYERS}", file, place)
    return most


def _labels(options: list[Any]) -> tuple[Value, ...]:
    """What stands for each option: itself where it is a plain value, else its type, numbered where not clear."""
    labels: list[Value] = []
    for i, option in enumerate(options):
        if not isinstance(option, dict | list):
            labels.append(option)
            continue
        kind = option.get("type") if isinstance(option, dict) else None
        labels.append(kind if isinstance(kind, str) and kind not in labels else f"{kind or 'option'}#{i}")
    return tuple(labels)


def _references(value: Any, place: Place) -> Iterator[tuple[str, Place]]:
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _references(item, (*place, i))
    elif isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"], (*place, "$ref")
        if isinstance(value.get("$if"), dict):
            yield value["$if"].get("hole", ""), (*place, "$if", "hole")
        for name, item in value.items():
            yield from _references(item, (*place, name))
