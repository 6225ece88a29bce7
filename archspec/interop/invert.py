"""Turns a set of recipes round: from targets made of sources to sources made of targets."""

from collections.abc import Iterator, Mapping

from archspec.interop.recipe import (
    Concat,
    PermuteRope,
    Recipe,
    Reshape,
    Reverse,
    Select,
    Shape,
    Slice,
    Stack,
    Stored,
    Transpose,
    describe,
    operands,
    shape,
)


def invert(recipes: Mapping[str, Recipe], stored: Mapping[str, Shape]) -> dict[str, Recipe]:
    """Recipes target -> expression over sources, turned into source -> expression over targets.

    `stored` has the shapes of the sources. Where several targets give one source (a tied matrix) the first is taken.
    ValueError if some source is read only in part, since then the targets do not determine it.
    """
    known: dict[Recipe, Recipe] = {}  # an expression over sources -> the same tensor over targets
    pieces: dict[Recipe, list[tuple[int, int, int, Recipe]]] = {}  # x -> parts of it: (axis, start, stop, value)
    waiting: dict[int, dict[Recipe, None]] = {}  # number of steps -> recipes of that length still to be taken apart

    def wait(recipe: Recipe) -> None:
        waiting.setdefault(_steps(recipe), {})[recipe] = None

    for target, recipe in recipes.items():
        known.setdefault(recipe, Stored(target))
        wait(recipe)
    found: dict[str, Recipe] = {}
    # Longest first: what is inside a recipe is shorter, so x has all its slices when its turn comes.
    for length in range(max(waiting, default=0), 0, -1):
        for recipe in waiting.get(length, {}):
            value = known.get(recipe) or _joined(recipe, pieces.get(recipe, []), shape(recipe, stored.__getitem__))
            if isinstance(recipe, Stored):
                found[recipe.name] = value
            elif isinstance(recipe, Slice):
                pieces.setdefault(recipe.x, []).append((recipe.axis, recipe.start, recipe.stop, value))
                wait(recipe.x)
            elif isinstance(recipe, Select):
                one = _with_axis(value, recipe, shape(recipe.x, stored.__getitem__))
                pieces.setdefault(recipe.x, []).append((recipe.axis, recipe.index, recipe.index + 1, one))
                wait(recipe.x)
            else:
                for part, expression in _undo(recipe, value, stored):
                    known.setdefault(part, expression)
                    wait(part)
    return {name: found[name] for name in stored if name in found}


def _steps(recipe: Recipe) -> int:
    return 1 + sum(map(_steps, operands(recipe)))


def _with_axis(value: Recipe, select: Select, whole: Shape) -> Recipe:
    """A selected piece with its axis of length 1 put back."""
    return Reshape(value, (*whole[: select.axis], 1, *whole[select.axis + 1 :]))


def _joined(recipe: Recipe, parts: list[tuple[int, int, int, Recipe]], whole: Shape) -> Recipe:
    axes = {axis for axis, *_ in parts}
    first = {piece[:3]: piece for piece in reversed(parts)}  # the same piece may come from two targets
    parts = sorted(first.values(), key=lambda piece: piece[1])
    ends = [0, *(stop for _, _, stop, _ in parts)]
    starts = [start for _, start, _, _ in parts]
    if len(axes) != 1 or starts != ends[:-1] or ends[-1] != whole[next(iter(axes))]:
        raise ValueError(f"{describe(recipe)} {list(whole)} is read only in part, so it cannot be rebuilt")
    return Concat(tuple(value for *_, value in parts), axes.pop())


def _undo(recipe: Recipe, value: Recipe, stored: Mapping[str, Shape]) -> Iterator[tuple[Recipe, Recipe]]:
    """What each operand is, given what the whole is."""
    of = stored.__getitem__
    match recipe:
        case Concat(parts, axis):
            start = 0
            for part in parts:
                stop = start + shape(part, of)[axis]
                yield part, Slice(value, axis, start, stop)
                start = stop
        case Stack(parts, axis):
            for index, part in enumerate(parts):
                yield part, Select(value, axis, index)
        case Transpose(x, axes):
            yield x, Transpose(value, tuple(axes.index(i) for i in range(len(axes))))
        case Reshape(x, _):
            yield x, Reshape(value, shape(x, of))
        case Reverse(x, axis):
            yield x, Reverse(value, axis)
        case PermuteRope(x, heads, to):
            yield x, PermuteRope(value, heads, "half" if to == "interleaved" else "interleaved")
