"""Differences between two resolved specs, by path."""

from dataclasses import dataclass
from typing import Any

from archspec.spec.canonical import canonical_precision, plain
from archspec.spec.resolved import Resolved, ResolvedStack, branch_names, branches
from archspec.spec.steps import Resample


@dataclass(frozen=True)
class Difference:
    """`first` or `second` is None where the path is absent; equal runs of layers are told as "stack.0-31"."""

    path: str
    first: Any
    second: Any


def differences(first: Resolved, second: Resolved) -> list[Difference]:
    """What differs, in the order of the first spec. Fields at their default are compared as absent."""
    a, b = _flat(_outer(first), ""), _flat(_outer(second), "")
    for name in dict.fromkeys([*first.stacks, *second.stacks]):
        runs = _runs(first.stacks.get(name), second.stacks.get(name))
        for start, end in runs:
            label = f"{name}.{start}" if end == start + 1 else f"{name}.{start}-{end - 1}"
            a |= _flat(_layer(first.stacks.get(name), start), label)
            b |= _flat(_layer(second.stacks.get(name), start), label)
    paths = dict.fromkeys([*a, *b])
    return [Difference(path, a.get(path), b.get(path)) for path in paths if a.get(path) != b.get(path)]


def _outer(resolved: Resolved) -> dict[str, Any]:
    """All but the layers."""
    outer: dict[str, Any] = {
        "vocab_size": resolved.vocab_size,
        "max_length": resolved.max_length,
        "output": resolved.output if len(resolved.stacks) > 1 else None,
        "precision": canonical_precision(resolved.spec.precision),
    }
    for name, stack in resolved.stacks.items():
        around = {"vocab_size": resolved.vocab_size, "d_model": stack.d_model}
        outer[name] = {
            "d_model": stack.d_model,
            "n_layers": len(stack.layers),
            "input": [plain(item, around) for item in stack.inputs],
            "streams": stack.streams,
            "final_read": stack.final_read if isinstance(stack.final_read, str) else plain(stack.final_read, around),
            "final_norm": stack.final_norm and plain(stack.final_norm, around),
        }
    if resolved.head is not None:
        d_model = resolved.stacks[resolved.output].d_model
        outer["head"] = plain(resolved.head, {"vocab_size": resolved.vocab_size, "d_model": d_model})
    return {key: value for key, value in outer.items() if value is not None}


def _runs(a: ResolvedStack | None, b: ResolvedStack | None) -> list[tuple[int, int]]:
    """Ranges of layers in which neither stack changes."""
    most = max(len(stack.layers) if stack else 0 for stack in (a, b))

    def kind(stack: ResolvedStack | None, i: int) -> Any:
        return stack.layers[i] if stack and i < len(stack.layers) else None

    cuts = [i for i in range(1, most) if any(kind(s, i) != kind(s, i - 1) for s in (a, b))]
    return list(zip([0, *cuts], [*cuts, most], strict=True)) if most else []


def _layer(stack: ResolvedStack | None, number: int) -> dict[str, Any]:
    if stack is None or number >= len(stack.layers):
        return {}
    layer = stack.layers[number]
    body = stack.bodies[layer.body]
    around = {"d_model": stack.d_model}
    found: dict[str, Any] = {"weights": layer.weights} if layer.weights else {}
    for name, branch in zip(branch_names(body), branches(body), strict=True):
        found[name] = plain(branch, around)
    for i, step in enumerate(body):
        if isinstance(step, Resample):
            found[f"resample{i}"] = plain(step, around)
    found["steps"] = [type(step).__name__.lower() for step in body]
    return found


def _flat(value: Any, path: str) -> dict[str, Any]:
    """Path -> plain value; objects are walked, lists are values unless they hold objects."""
    if isinstance(value, dict) and value:
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= _flat(item, f"{path}.{key}" if path else key)
        return found
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        found = {}
        for i, item in enumerate(value):
            found |= _flat(item, f"{path}.{i}")
        return found
    return {path: value}
