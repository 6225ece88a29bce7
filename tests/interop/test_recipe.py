"""Recipes: shapes, JSON, and turning a set of them round."""

import json

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from archspec.interop.invert import invert
from archspec.interop.recipe import (
    Concat,
    PermuteRope,
    Recipe,
    Reshape,
    Reverse,
    Select,
    Slice,
    Stack,
    Stored,
    Transpose,
    compose,
    from_json,
    shape,
    sources,
    to_json,
)
from compiler.weights import evaluate

A, B, C = Stored("a"), Stored("b"), Stored("c")
SHAPES = {"a": (8, 6), "b": (8, 6), "c": (4, 6)}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(s, generator=generator) for name, s in SHAPES.items()}


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any recipe over a, b and c that fits their shapes."""
    recipe: Recipe = draw(st.sampled_from([A, B, C]))
    for _ in range(draw(st.integers(0, 4))):
        s = shape(recipe, SHAPES.__getitem__)
        axis = draw(st.integers(0, len(s) - 1)) if s else 0
        options: list[Recipe] = [Stack((recipe, recipe), axis), Reshape(recipe, tuple(reversed(s)))]
        if s:
            stop = draw(st.integers(1, s[axis]))
            options += [
                Slice(recipe, axis, draw(st.integers(0, stop - 1)), stop),
                Concat((recipe, recipe), axis),
                Transpose(recipe, tuple(draw(st.permutations(range(len(s)))))),
                Select(recipe, axis, stop - 1),
                Reverse(recipe, axis),
            ]
            if s[0] % 4 == 0:
                options.append(PermuteRope(recipe, 2, draw(st.sampled_from(["half", "interleaved"]))))
        recipe = draw(st.sampled_from(options))
    return recipe


@settings(max_examples=150, deadline=None)
@given(recipes())
def test_shape_and_json_agree_with_running_it(recipe: Recipe) -> None:
    stored = tensors()
    result = evaluate(recipe, stored.__getitem__)
    assert tuple(result.shape) == shape(recipe, SHAPES.__getitem__)
    again = from_json(json.loads(json.dumps(to_json(recipe))))
    assert again == recipe and hash(again) == hash(recipe)


PACKED = {
    "a whole tensor": {"x": A, "y": B},
    "packed rows": {"qkv": Concat((A, B, C), 0)},
    "fused columns split": {"q": Transpose(Slice(A, 1, 0, 2), (1, 0)), "k": Slice(A, 1, 2, 4), "v": Slice(A, 1, 4, 6)},
    "slices of a slice": {
        "top": Slice(Slice(A, 0, 0, 4), 0, 0, 1),
        "rest": Slice(Slice(A, 0, 0, 4), 0, 1, 4),
        "under": Slice(A, 0, 4, 8),
    },
    "stacked experts": {"experts": Stack((A, B), 0)},
    "one expert each": {f"e{i}": Select(A, 0, i) for i in range(8)},
    "back to front": {"q": Reverse(A, 0), "k": Reverse(Transpose(B, (1, 0)), 1)},
    "rotary rows": {"q": PermuteRope(A, 2, "half"), "k": PermuteRope(B, 4, "interleaved")},
    "reshaped and stacked the other way": {"x": Reshape(Stack((A, B), 1), (16, 6))},
    "read twice": {"embedding": A, "head": A, "rest": Concat((B, C), 0)},
    "twice in one": {"both": Concat((A, A), 0)},
}


@pytest.mark.parametrize("name", PACKED)
def test_turned_round_it_gives_the_sources_back(name: str) -> None:
    stored = tensors()
    packed = {target: evaluate(recipe, stored.__getitem__) for target, recipe in PACKED[name].items()}
    read = {source for recipe in PACKED[name].values() for source in sources(recipe)}
    back = invert(PACKED[name], {source: SHAPES[source] for source in sorted(read)})
    assert set(back) == read
    for source, recipe in back.items():
        torch.testing.assert_close(evaluate(recipe, packed.__getitem__), stored[source], atol=0, rtol=0)


def test_a_source_read_in_part_cannot_be_rebuilt() -> None:
    with pytest.raises(ValueError, match=r"a \[8, 6\] is read only in part"):
        invert({"x": Slice(A, 0, 0, 4)}, SHAPES)
    with pytest.raises(ValueError, match="only in part"):
        invert({"x": Slice(A, 0, 0, 4), "y": Slice(A, 0, 5, 8)}, SHAPES)


def test_thousands_are_turned_round_in_no_time() -> None:
    recipes = {f"e{i}": Stack(tuple(Stored(f"w{i}.{j}") for j in range(64)), 0) for i in range(60)}
    shapes = {f"w{i}.{j}": (4, 4) for i in range(60) for j in range(64)}
    assert len(invert(recipes, shapes)) == 60 * 64


def test_composition_runs_one_after_the_other() -> None:
    stored = tensors()
    ours = {"q": Transpose(Slice(A, 1, 0, 3), (1, 0)), "k": Transpose(Slice(A, 1, 3, 6), (1, 0))}
    packed = compose({"qk": Concat((Stored("q"), Stored("k")), 0)}, ours)
    torch.testing.assert_close(evaluate(packed["qk"], stored.__getitem__), stored["a"].T, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Slice(A, 0, 4, 9), r"slice\(axis=0, start=4, stop=9\) cannot be applied to a tensor of shape \[8, 6\]"),
        (Concat((A, C), 1), r"concat\(axis=1\)"),
        (Reshape(A, (5, 5)), r"reshape\(shape=\(5, 5\)\)"),
        (PermuteRope(A, 3, "half"), r"permute_rope\(heads=3, to=half\)"),
    ],
)
def test_what_does_not_fit_is_said(recipe: Recipe, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shape(recipe, SHAPES.__getitem__)


@pytest.mark.parametrize("data", [{"type": "add", "x": "a"}, {"type": "slice", "x": "a"}, 3, {"x": "a"}])
def test_json_that_is_no_recipe_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="recipe"):
        from_json(data)
