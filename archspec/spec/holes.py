"""Holes of a search space: values left open in a spec, objects with one key that begins with `$`.

A hole inside an option of a `$choice` exists only when that option is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from archspec.spec import pointer
from archspec.spec.error import Path as Place
from archspec.spec.error import SpecError
from archspec.spec.hole_forms import MAX_LAYERS, Layout, hole_key, parse_hole

Value = bool | int | float | str | None
When = tuple[tuple[str, tuple[Value, ...]], ...]


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
    when: When = ()
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


def has_holes(document: Any) -> bool:
    """Whether a JSON document is a space rather than a spec."""
    return next(hole_places(document), None) is not None


def hole_places(document: Any, place: Place = ()) -> Iterator[Place]:
    """Where the outermost holes stand."""
    if isinstance(document, list):
        for i, item in enumerate(document):
            yield from hole_places(item, (*place, i))
    elif isinstance(document, dict):
        if hole_key(document) is not None:
            yield place
            return
        for name, item in document.items():
            yield from hole_places(item, (*place, name))


def collect(value: Any, place: Place, when: When, file: str) -> Iterator[tuple[Hole, Any]]:
    """Every hole below `value`, with its form."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from collect(item, (*place, i), when, file)
    if not isinstance(value, dict):
        return
    key = hole_key(value)
    if key is None:
        for name, item in value.items():
            yield from collect(item, (*place, name), when, file)
        return
    parse_hole(key, value, place, file)
    name = value.get("as") or pointer.shown(place)
    if key == "$choice":
        labels = _labels(value["$choice"])
        yield Hole(name, "choice", choices=labels, when=when, place=place), value
        for i, option in enumerate(value["$choice"]):
            yield from collect(option, (*place, "$choice", i), (*when, (name, (labels[i],))), file)
    elif key == "$int":
        low, high, *step = value["$int"]
        yield Hole(name, "int", low=low, high=high, step=step[0] if step else 1, when=when, place=place), value
    elif key == "$float":
        low, high = value["$float"]
        yield Hole(name, "float", low=low, high=high, log=value.get("log", False), when=when, place=place), value
    elif key == "$if":
        hole, among = value["$if"]["hole"], tuple(value["$if"]["in"])
        yield from collect(value["then"], (*place, "then"), (*when, (hole, among)), file)
        yield from collect(value["else"], (*place, "else"), when, file)
    elif key == "$layout":
        body = value["$layout"]
        depth_place = (*place, "$layout", "layers")
        inner = list(collect(body["layers"], depth_place, when, file))
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


def references(value: Any, place: Place) -> Iterator[tuple[str, Place]]:
    """Every name of a hole that `$ref` or `$if` says, with its place."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from references(item, (*place, i))
    elif isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"], (*place, "$ref")
        if isinstance(value.get("$if"), dict):
            yield value["$if"].get("hole", ""), (*place, "$if", "hole")
        for name, item in value.items():
            yield from references(item, (*place, name))
