"""The forms of a hole: what each must look like, and what a layout is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archspec.spec.error import Path, SpecError, did_you_mean

FORMS = {  # form -> other keys that may stand beside it
    "$choice": {"as"},
    "$int": {"as"},
    "$float": {"as", "log"},
    "$ref": set(),
    "$if": {"then", "else"},
    "$layout": {"as"},
}
MAX_PERIOD = 8
MAX_LAYERS = 10_000


def hole_key(value: dict[str, Any]) -> str | None:
    """The key that makes an object a hole, or None."""
    return next((key for key in value if isinstance(key, str) and key.startswith("$")), None)


def parse_hole(key: str, value: dict[str, Any], place: Path, file: str) -> None:
    """Checks the form of a hole; raises SpecError."""

    def fail(message: str, *below: str) -> SpecError:
        return SpecError(message, file, (*place, *below))

    if key not in FORMS:
        raise fail(f"unknown hole {key!r}{did_you_mean(key, FORMS)}; allowed: {', '.join(FORMS)}")
    for other in value:
        if other != key and other not in FORMS[key]:
            raise fail(f"unknown field {other!r} beside {key}; allowed: {', '.join(sorted(FORMS[key])) or 'none'}")
    name = value.get("as", "")
    if not isinstance(name, str) or ("as" in value and not name):
        raise fail(f"found {name!r}; allowed: a name", "as")
    body = value[key]
    if key == "$choice":
        if not isinstance(body, list) or not body:
            raise fail("allowed: a list of at least one option", key)
        if any(body[i] == body[j] and type(body[i]) is type(body[j]) for i in range(len(body)) for j in range(i)):
            raise fail("the same option stands twice", key)
    elif key == "$int":
        whole = isinstance(body, list) and len(body) in (2, 3) and all(type(item) is int for item in body)
        if not whole or body[0] > body[1] or (len(body) == 3 and body[2] < 1):
            raise fail(f"found {body!r}; allowed: [lowest, highest, step], whole numbers in order", key)
    elif key == "$float":
        numbers = isinstance(body, list) and len(body) == 2 and all(type(item) in (int, float) for item in body)
        if not numbers or body[0] > body[1] or (value.get("log") and body[0] <= 0):
            raise fail(f"found {body!r}; allowed: [lowest, highest] in order, above 0 with log", key)
        if not isinstance(value.get("log", False), bool):
            raise fail("allowed: true or false", "log")
    elif key == "$ref":
        if not isinstance(body, str):
            raise fail(f"found {body!r}; allowed: the name of a hole", key)
    elif key == "$if":
        good = isinstance(body, dict) and set(body) == {"hole", "in"} and isinstance(body["hole"], str)
        if not good or not _plain(body["in"]) or "then" not in value or "else" not in value:
            raise fail('allowed: {"$if": {"hole": name, "in": [values]}, "then": ..., "else": ...}', key)
    else:
        _layout(body, fail)


def _plain(values: Any) -> bool:
    return isinstance(values, list) and not any(isinstance(value, dict | list) for value in values)


def _layout(body: Any, fail: Callable[..., SpecError]) -> None:
    if not isinstance(body, dict) or set(body) != {"of", "layers", "form"}:
        raise fail('allowed: {"of": [blocks], "layers": number, "form": uniform, period, ends or free}', "$layout")
    if not isinstance(body["of"], list) or not body["of"] or not all(isinstance(b, str) for b in body["of"]):
        raise fail("allowed: a list of names of blocks", "$layout", "of")
    if body["form"] not in Layout.FORMS:
        hint = did_you_mean(body["form"], Layout.FORMS)
        raise fail(f"found {body['form']!r}{hint}; allowed: {', '.join(Layout.FORMS)}", "$layout", "form")
    layers = body["layers"]
    if not isinstance(layers, dict) and (type(layers) is not int or not 1 <= layers <= MAX_LAYERS):
        raise fail(f"found {layers!r}; allowed: a whole number from 1 to {MAX_LAYERS}", "$layout", "layers")


@dataclass(frozen=True)
class Layout:
    """Which block stands at which depth, as choices:

    uniform  one block for all layers: `name/block`
    period   a pattern of `name/period` slots, `name/slot0`, ..., that repeats
    ends     `name/ends` for the first `name/first` and the last `name/last` layers, `name/middle` between them
    free     a block for each layer: `name/layer0`, ...
    """

    name: str
    of: tuple[str, ...]
    layers: int
    form: str

    FORMS = ("uniform", "period", "ends", "free")

    def holes(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Hole -> its choices, for the largest number of layers."""
        few = tuple(range(min(MAX_PERIOD, self.layers) + 1))
        if self.form == "uniform":
            return [(f"{self.name}/block", self.of)]
        if self.form == "period":
            slots = [(f"{self.name}/slot{i}", self.of) for i in few[:-1]]
            return [(f"{self.name}/period", few[1:]), *slots]
        if self.form == "ends":
            blocks = [(f"{self.name}/{part}", self.of) for part in ("middle", "ends")]
            return [*blocks, (f"{self.name}/first", few), (f"{self.name}/last", few)]
        return [(f"{self.name}/layer{i}", self.of) for i in range(self.layers)]

    def entries(self, answer: Callable[[str], Any]) -> list[str]:
        """The block of each layer."""
        if self.form == "uniform":
            return [answer(f"{self.name}/block")] * self.layers
        if self.form == "period":
            pattern = [answer(f"{self.name}/slot{i}") for i in range(answer(f"{self.name}/period"))]
            return [pattern[i % len(pattern)] for i in range(self.layers)]
        if self.form == "ends":
            first, last = answer(f"{self.name}/first"), answer(f"{self.name}/last")
            middle = answer(f"{self.name}/middle")
            ends = answer(f"{self.name}/ends") if first or last else middle
            return [ends if i < first or i >= self.layers - last else middle for i in range(self.layers)]
        return [answer(f"{self.name}/layer{i}") for i in range(self.layers)]
