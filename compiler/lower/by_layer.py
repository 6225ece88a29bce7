"""Layers that differ in nothing but numbers run one block: which bodies are one, and which numbers each layer has.

Only numbers that decide no shape, no cost and no rewrite can differ that way: the fixed decays of linear attention.
"""

from dataclasses import dataclass, field
from typing import Any

from archspec.spec.mixers import FixedDecay
from archspec.spec.steps import Body, Branch, Parallel, Step


@dataclass(frozen=True)
class ByLayer:
    """Stands in a shared body where each layer has a value of its own, known to its call as `key`."""

    key: str


@dataclass
class Shared:
    """One block's body, and the numbers of each of the bodies that it stands for: body index -> key -> value."""

    body: Body
    values: dict[int, dict[str, Any]] = field(default_factory=dict)


def shared(bodies: tuple[Body, ...]) -> list[Shared]:
    """The blocks of a stack, in order of their first body; a body that is like no other is its own, unchanged."""
    found: dict[Body, Shared] = {}
    for index, body in enumerate(bodies):
        values: dict[str, Any] = {}
        without = tuple(_step(step, f"{i}", values) for i, step in enumerate(body))
        found.setdefault(without, Shared(without)).values[index] = values
    return [one if len(one.values) > 1 else Shared(bodies[min(one.values)], {min(one.values): {}})
            for one in found.values()]  # fmt: skip


def _step(step: Step, at: str, values: dict[str, Any]) -> Step:
    """The step without the numbers that may differ; they go to `values`."""
    if isinstance(step, Parallel):
        return step.model_copy(
            update={"parallel": tuple(_branch(b, f"{at}.{i}", values) for i, b in enumerate(step.parallel))}
        )
    return _branch(step, at, values) if isinstance(step, Branch) else step


def _branch(branch: Branch, at: str, values: dict[str, Any]) -> Branch:
    decay = getattr(branch.op, "decay", None)
    if not isinstance(decay, FixedDecay):
        return branch
    rate, heads = decay.rate, branch.op.n_heads  # type: ignore[union-attr]
    key = f"{at}.decay"
    values[key] = list(rate) if isinstance(rate, list | tuple) else [rate] * heads
    op = branch.op.model_copy(update={"decay": decay.model_copy(update={"rate": ByLayer(key)})})
    return branch.model_copy(update={"op": op})
