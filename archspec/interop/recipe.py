"""Recipes: how one tensor is made from others, as data.

An importer says with a recipe how our parameter comes from the tensors a checkpoint stores; a pass says with one how a
packed parameter comes from ours. They are frozen, hashable and JSON-able, and know nothing of torch:
`compiler.weights.evaluate` runs them. Only rearrangements exist here (no arithmetic), so a set of recipes that reads
everything can be turned round: see `archspec.interop.invert`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from math import prod
from typing import Any, Literal

Shape = tuple[int, ...]
Pairing = Literal["half", "interleaved"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor by its name in the source."""

    name: str


@dataclass(frozen=True, slots=True)
class Slice:
    """x[start:stop] along `axis`."""

    x: "Recipe"
    axis: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Concat:
    """Parts joined along an existing axis."""

    parts: tuple["Recipe", ...]
    axis: int


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axes in a new order: result axis i is axis `axes[i]` of x."""

    x: "Recipe"
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reshape:
    x: "Recipe"
    shape: Shape


@dataclass(frozen=True, slots=True)
class Stack:
    """Parts of one shape joined along a new axis."""

    parts: tuple["Recipe", ...]
    axis: int


@dataclass(frozen=True, slots=True)
class Select:
    """x[index] along `axis`, which disappears."""

    x: "Recipe"
    axis: int
    index: int


@dataclass(frozen=True, slots=True)
class Reverse:
    """x back to front along `axis`."""

    x: "Recipe"
    axis: int


@dataclass(frozen=True, slots=True)
class PermuteRope:
    """Rows of a query or key projection moved between the two rotary layouts; axis 0 is (heads * head size).

    Row i of pair p in a head of size d is row 2*p + i in the `interleaved` layout, row i*d/2 + p in the `half` layout.
    `to` is the layout of the result; x has the other one.
    """

    x: "Recipe"
    heads: int
    to: Pairing


Recipe = Stored | Slice | Concat | Transpose | Reshape | Stack | Select | Reverse | PermuteRope

_KINDS: dict[str, type] = {
    "slice": Slice,
    "concat": Concat,
    "transpose": Transpose,
    "reshape": Reshape,
    "stack": Stack,
    "select": Select,
    "reverse": Reverse,
    "permute_rope": PermuteRope,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def operands(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipes directly inside this one."""
    match recipe:
        case Stored():
            return ()
        case Concat(parts=parts) | Stack(parts=parts):
            return parts
        case _:
            return (recipe.x,)


def sources(recipe: Recipe) -> Iterator[str]:
    """Names of the tensors read, in order, repeated where they are read twice."""
    if isinstance(recipe, Stored):
        yield recipe.name
    for part in operands(recipe):
        yield from sources(part)


def substitute(recipe: Recipe, replace: Callable[[str], Recipe]) -> Recipe:
    """The recipe with every stored name replaced: composes recipes, and renames with `lambda n: Stored(...)`."""
    match recipe:
        case Stored(name):
            return replace(name)
        case Concat(parts, axis):
            return Concat(tuple(substitute(part, replace) for part in parts), axis)
        case Stack(parts, axis):
            return Stack(tuple(substitute(part, replace) for part in parts), axis)
        case Slice(x, axis, start, stop):
            return Slice(substitute(x, replace), axis, start, stop)
        case Transpose(x, axes):
            return Transpose(substitute(x, replace), axes)
        case Reshape(x, shape):
            return Reshape(substitute(x, replace), shape)
        case Select(x, axis, index):
            return Select(substitute(x, replace), axis, index)
        case Reverse(x, axis):
            return Reverse(substitute(x, replace), axis)
        case PermuteRope(x, heads, to):
            return PermuteRope(substitute(x, replace), heads, to)


def compose(outer: Mapping[str, Recipe], inner: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """`outer` (say packed parameters over ours) after `inner` (ours over stored ones): packed over stored ones."""
    return {
        name: substitute(recipe, lambda source: inner.get(source, Stored(source))) for name, recipe in outer.items()
    }


def shape(recipe: Recipe, stored: Callable[[str], Shape]) -> Shape:
    """Shape of the result, given the shapes of stored tensors. ValueError says what does not fit."""
    match recipe:
        case Stored(name):
            return tuple(stored(name))
        case Slice(x, axis, start, stop):
            s = shape(x, stored)
            _check(0 <= axis < len(s) and 0 <= start < stop <= s[axis], recipe, s)
            return (*s[:axis], stop - start, *s[axis + 1 :])
        case Concat(parts, axis):
            shapes = [shape(part, stored) for part in parts]
            first = shapes[0]
            _check(0 <= axis < len(first), recipe, first)
            for s in shapes[1:]:
                _check(
                    s[:axis] == first[:axis] and s[axis + 1 :] == first[axis + 1 :] and len(s) == len(first), recipe, s
                )
            return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])
        case Stack(parts, axis):
            shapes = [shape(part, stored) for part in parts]
            first = shapes[0]
            for s in shapes[1:]:
                _check(s == first, recipe, s)
            _check(0 <= axis <= len(first), recipe, first)
            return (*first[:axis], len(parts), *first[axis:])
        case Transpose(x, axes):
            s = shape(x, stored)
            _check(sorted(axes) == list(range(len(s))), recipe, s)
            return tuple(s[axis] for axis in axes)
        case Reshape(x, new):
            s = shape(x, stored)
            _check(prod(s) == prod(new), recipe, s)
            return new
        case Select(x, axis, index):
            s = shape(x, stored)
            _check(0 <= axis < len(s) and 0 <= index < s[axis], recipe, s)
            return (*s[:axis], *s[axis + 1 :])
        case Reverse(x, axis):
            s = shape(x, stored)
            _check(0 <= axis < len(s), recipe, s)
            return s
        case PermuteRope(x, heads, _):
            s = shape(x, stored)
            _check(bool(s) and heads > 0 and s[0] % (2 * heads) == 0, recipe, s)
            return s


def _check(holds: bool, recipe: Recipe, found: Shape) -> None:
    if not holds:
        raise ValueError(f"{describe(recipe)} cannot be applied to a tensor of shape {list(found)}")


def describe(recipe: Recipe) -> str:
    """One short line: the outermost step and its fields, without what is inside."""
    if isinstance(recipe, Stored):
        return recipe.name
    said = ", ".join(f"{f.name}={getattr(recipe, f.name)}" for f in fields(recipe) if f.name not in ("x", "parts"))
    return f"{_NAMES[type(recipe)]}({said})"


def to_json(recipe: Recipe) -> Any:
    """A stored tensor is its name; anything else an object with `type`."""
    if isinstance(recipe, Stored):
        return recipe.name
    out: dict[str, Any] = {"type": _NAMES[type(recipe)]}
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name == "x":
            value = to_json(value)
        elif field.name == "parts":
            value = [to_json(part) for part in value]
        out[field.name] = list(value) if isinstance(value, tuple) else value
    return out


def from_json(data: Any) -> Recipe:
    """ValueError names an unknown type or a missing field."""
    if isinstance(data, str):
        return Stored(data)
    kind = _KINDS.get(str(data.get("type"))) if isinstance(data, dict) else None
    if kind is None:
        raise ValueError(f"not a recipe: {data!r}; a tensor name or an object with type one of {', '.join(_KINDS)}")
    wanted = {field.name for field in fields(kind)}
    if wanted | {"type"} != set(data):
        raise ValueError(f"recipe {data['type']} has the fields {sorted(wanted)}, found {sorted(set(data) - {'type'})}")
    values: dict[str, Any] = {}
    for name in wanted:
        value = data[name]
        if name == "x":
            value = from_json(value)
        elif name == "parts":
            value = tuple(from_json(part) for part in value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)
