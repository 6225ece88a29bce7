"""Differences between two resolved specs, by path: every default filled in, layers that change alike told together."""

from dataclasses import dataclass
from typing import Any

from archspec.spec.canonical import plain, text
from archspec.spec.formula import is_formula
from archspec.spec.node import Node
from archspec.spec.resolved import Resolved, ResolvedStack, branch_names, branches
from archspec.spec.steps import Body, Parallel


@dataclass(frozen=True)
class Difference:
    """JSON values; None where a path is absent. Layers stand as ranges: `decoder.0-3,8.attention.op.n_heads`."""

    path: str
    first: Any
    second: Any


def differences(first: Resolved, second: Resolved) -> list[Difference]:
    """What differs, in the order of the grammar."""
    found: list[Difference] = []
    for name in ("vocab_size", "max_length"):
        found += _compare(getattr(first, name), getattr(second, name), name)
    if len(first.stacks) > 1 or len(second.stacks) > 1:
        found += _compare(first.output, second.output, "output")
    for name in dict.fromkeys([*first.stacks, *second.stacks]):
        found += _stacks(first.stacks.get(name), second.stacks.get(name), name)
    found += _compare(first.head, second.head, "head")
    return found + _compare(first.spec.precision, second.spec.precision, "precision")


def _stacks(a: ResolvedStack | None, b: ResolvedStack | None, name: str) -> list[Difference]:
    if a is None or b is None:
        return [Difference(name, a and f"stack of {len(a.layers)} layers", b and f"stack of {len(b.layers)} layers")]
    found = _compare(a.d_model, b.d_model, f"{name}.d_model")
    found += _compare(len(a.layers), len(b.layers), f"{name}.n_layers")
    found += _compare(a.inputs, b.inputs, f"{name}.input")
    found += _compare(a.streams, b.streams, f"{name}.streams")
    bodies: dict[tuple[int, int], list[Difference]] = {}
    where: dict[str, tuple[Difference, list[int]]] = {}
    for number, (x, y) in enumerate(zip(a.layers, b.layers, strict=False)):
        if (x.body, y.body) not in bodies:
            bodies[x.body, y.body] = _bodies(a.bodies[x.body], b.bodies[y.body])
        for change in [*_compare(x.weights, y.weights, "weights"), *bodies[x.body, y.body]]:
            where.setdefault(text([change.path, change.first, change.second]), (change, []))[1].append(number)
    for change, numbers in where.values():
        found.append(Difference(f"{name}.{_ranges(numbers)}.{change.path}", change.first, change.second))
    found += _compare(a.final_read, b.final_read, f"{name}.final_read")
    return found + _compare(a.final_norm, b.final_norm, f"{name}.final_norm")


def _bodies(a: Body, b: Body) -> list[Difference]:
    """Branches are matched by name."""
    mine = dict(zip(branch_names(a), branches(a), strict=True))
    other = dict(zip(branch_names(b), branches(b), strict=True))
    found: list[Difference] = []
    for name in dict.fromkeys([*mine, *other]):
        found += _compare(mine.get(name), other.get(name), name)
    return found + _compare(_frame(a), _frame(b), "steps")


def _frame(body: Body) -> list[Any]:
    """The steps of a layer without what is inside the branches."""
    names = iter(branch_names(body))
    frame: list[Any] = []
    for step in body:
        if isinstance(step, Parallel):
            norm = step.pre_norm and plain(step.pre_norm, {})
            frame.append({"parallel": [next(names) for _ in step.parallel], "pre_norm": norm})
        else:
            frame.append(next(names) if hasattr(step, "op") else plain(step, {}))
    return frame


def _compare(a: Any, b: Any, path: str) -> list[Difference]:
    if a == b:
        return []
    found: list[Difference] = []
    if isinstance(a, Node) and type(a) is type(b):
        for name, info in type(a).model_fields.items():
            written = name in a.model_fields_set or name in b.model_fields_set
            if is_formula(info.default) and not written:
                continue  # it follows from a difference that is told
            found += _compare(a.__dict__[name], b.__dict__[name], f"{path}.{name}")
        return found
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) and isinstance(a[0], Node):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            found += _compare(x, y, f"{path}.{i}")
        return found
    return [Difference(path, _json(a), _json(b))]


def _json(value: Any) -> Any:
    if isinstance(value, Node):
        return plain(value, {})
    return [_json(item) for item in value] if isinstance(value, tuple) else value


def _ranges(numbers: list[int]) -> str:
    """[0, 1, 2, 5] -> "0-2,5" """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
