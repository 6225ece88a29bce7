"""Parameters by path, made from stored tensors; what is missing, left over or of the wrong shape is named."""

from collections.abc import Iterable, Iterator, Mapping

import torch

from archspec.errors import InputError
from archspec.interop.recipe import Recipe, Stored, shape, sources
from archspec.interop.tensor_map import TensorMap
from compiler.weights.evaluate import evaluate
from compiler.weights.source import TensorSource

Shape = tuple[int, ...]
_SHOWN = 5  # names in an error; the rest is counted


def load(
    params: Mapping[str, Shape], tensors: TensorMap | None, source: TensorSource, dtype: torch.dtype | None = None
) -> dict[str, torch.Tensor]:
    """Every parameter of a program as a contiguous tensor of `dtype` (None: as stored).

    params: path -> shape. tensors: how they are made, or None if they are stored under their paths; its recipes may be
    composed with those of passes. InputError lists everything that does not fit.
    """
    return dict(stream(params, tensors, source, dtype))


def stream(
    params: Mapping[str, Shape], tensors: TensorMap | None, source: TensorSource, dtype: torch.dtype | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """As `load`, one parameter after another: all checks come first, and only one is in memory at a time."""
    recipes = plan(params, tensors, source)
    return _read(recipes, source, dtype)


def plan(params: Mapping[str, Shape], tensors: TensorMap | None, source: TensorSource) -> dict[str, Recipe]:
    """The recipe of each parameter over the names in `source`, checked from headers alone."""
    stored = source.shapes()
    matched = (tensors or TensorMap({path: Stored(path) for path in params})).matched(stored)
    _check_copies(matched, source)
    problems: list[str] = []
    recipes = {path: matched.recipes[path] for path in params if path in matched.recipes}
    problems += _listed("no recipe makes", [path for path in params if path not in recipes])
    read = list(dict.fromkeys(name for recipe in recipes.values() for name in sources(recipe)))
    missing = [name for name in read if name not in stored]
    problems += _listed("missing", [f"{name} (for {_user(recipes, name)})" for name in missing])
    known = {*read, *matched.unread, *matched.copies}
    problems += _listed("surplus", [name for name in stored if name not in known])
    wrong = []
    for path, recipe in recipes.items():
        if not any(name in missing for name in sources(recipe)):
            found = _shape_or_reason(recipe, stored)
            if found != tuple(params[path]):
                says = found if isinstance(found, str) else f"found {list(found)}"
                wrong.append(f"{path} needs {list(params[path])}, {says} ({', '.join(dict.fromkeys(sources(recipe)))})")
    problems += _listed("wrong shape", wrong)
    if problems:
        raise InputError(
            "the stored tensors do not fit this architecture: " + "; ".join(problems), source=str(source.path)
        )
    return recipes


def _read(
    recipes: Mapping[str, Recipe], source: TensorSource, dtype: torch.dtype | None
) -> Iterator[tuple[str, torch.Tensor]]:
    for path, recipe in recipes.items():
        tensor = evaluate(recipe, source.read)
        if dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        # A slice must not keep the whole fused tensor alive, nor a permuted view its strides.
        shares = tensor.untyped_storage().nbytes() > tensor.numel() * tensor.element_size()
        yield path, tensor.clone(memory_format=torch.contiguous_format) if shares else tensor.contiguous()


def _check_copies(tensors: TensorMap, source: TensorSource) -> None:
    """A tied tensor that is stored twice must be the same twice, or the checkpoint is not tied."""
    stored = source.shapes()
    for second, first in tensors.copies.items():
        if stored[second] != stored[first] or not torch.equal(source.read(second), source.read(first)):
            raise InputError(
                f"{second} differs from {first}, but the configuration ties them (tie_word_embeddings)",
                source=str(source.path),
            )


def _shape_or_reason(recipe: Recipe, stored: Mapping[str, Shape]) -> Shape | str:
    try:
        return shape(recipe, stored.__getitem__)
    except ValueError as error:
        return f"but {error}"


def _user(recipes: Mapping[str, Recipe], name: str) -> str:
    return next(path for path, recipe in recipes.items() if name in sources(recipe))


def _listed(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what} {', '.join(names[:_SHOWN])}{more}"]
