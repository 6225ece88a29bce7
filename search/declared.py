"""A declared space (a spec with holes) as the search sees it: every hole with a finite list of options."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.spec.holes import Hole as DeclaredHole
from archspec.spec.load import read_json
from archspec.spec.space import Space, load_space
from search.space import Hole

DEFAULT_SPACE = Path(__file__).with_name("space.json")
FLOAT_OPTIONS = 17  # a range of real numbers is searched at this many points, both ends included
MOST_OPTIONS = 4096  # of one hole; more is a mistake in the space

_FLOATS = ("fp64", "fp32", "bf16", "fp16")


class DeclaredSpace:
    """A SearchSpace over `archspec.spec.space.Space`."""

    def __init__(self, space: Space, dtype: str | None = None) -> None:
        """dtype: replaces the float types of the spec's precision; a quantised one replaces that of the weights."""
        self._space, self._dtype = space, dtype
        self.name = str(space.document.get("name") or space.file or "space")
        self.text = json.dumps(space.document, separators=(",", ":"))  # as written: holes go in this order
        self.holes = tuple(Hole(hole.name, _options(hole), _tie(hole.name)) for hole in space.holes())
        if not self.holes:
            raise InputError("the space has no holes: there is nothing to search", source=self.name)

    def fill(self, values: Mapping[str, Any]) -> dict[str, Any]:
        document = self._space.fill(values)
        if self._dtype is not None:
            document["precision"] = _with_dtype(document.get("precision", {}), self._dtype)
        return document


def open_space(source: str | Path | dict[str, Any] | None, *, context: int, dtype: str | None = None) -> DeclaredSpace:
    """The space in a file or a dict; None is the embedded one, whose maximum length is the context searched for.

    Errors: InputError for a space that is not valid.
    """
    if source is None:
        source = {**read_json(DEFAULT_SPACE), "max_length": context}
    return DeclaredSpace(load_space(source), dtype)


def _options(hole: DeclaredHole) -> tuple[Any, ...]:
    options = hole.values()
    if options is None:
        steps = [i / (FLOAT_OPTIONS - 1) for i in range(FLOAT_OPTIONS)]
        if hole.low == hole.high:
            return (hole.low,)
        if hole.log:
            return tuple(min(max(hole.low * (hole.high / hole.low) ** s, hole.low), hole.high) for s in steps)
        return tuple(hole.low + (hole.high - hole.low) * s for s in steps)
    if len(options) > MOST_OPTIONS:
        raise InputError(f"the hole '{hole.name}' has {len(options)} values; give it a larger step", source="SPACE")
    return options


def _tie(name: str) -> str:
    """What the hole is called within its part of the network: `lower/odd` and `upper/odd`, `layers/layer0` and
    `layers/layer7` are one choice made for several layers."""
    return re.sub(r"\d+$", "", name.rsplit("/", 1)[-1])


def _with_dtype(precision: dict[str, Any], dtype: str) -> dict[str, Any]:
    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {kind: changed(one) for kind, one in value.items()}
        return dtype if value in _FLOATS else value

    changed_fields = {name: changed(value) for name, value in precision.items() if name in ("weights", "cache")}
    if dtype not in _FLOATS:
        return {**precision, "weights": dtype}
    return {"weights": dtype, **precision, **changed_fields, "activations": dtype}
