"""Reading a resolved spec on the way back to config.json: what must be there, of which type."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from archspec.interop.hf.activations import SPELLINGS
from archspec.interop.hf.family import CannotSay
from archspec.spec import Resolved
from archspec.spec.resolved import Layer
from archspec.spec.types import Attention, Branch, LinearLogits, Mlp, Parallel

T = TypeVar("T")


def expect(kind: type[T], value: Any, what: str) -> T:
    """`value`, which must be of this type; CannotSay names what it is about."""
    if not isinstance(value, kind):
        found = getattr(value, "type", None) or type(value).__name__
        raise CannotSay(f"{what} must be {kind.__name__}, found {found}")
    return value


def operator(step: Any, kind: type[T]) -> T:
    """The op of a plain branch."""
    return expect(kind, expect(Branch, step, "a step").op, "the operator")


def attention_and_mlp(resolved: Resolved) -> tuple[Attention, Mlp, Parallel | None]:
    """The first layer of the output stack, an attention and an MLP; the third: what puts them beside each other.

    CannotSay where there is no maximum length either.
    """
    stack = resolved.stacks[resolved.output]
    body = stack.bodies[stack.layers[0].body] if stack.layers else ()
    together = body[0] if len(body) == 1 and isinstance(body[0], Parallel) else None
    branches = body if together is None else together.parallel
    if len(branches) != 2 or resolved.max_length is None:
        raise CannotSay("a layer is one attention and one MLP, and there is a maximum length")
    return operator(branches[0], Attention), operator(branches[1], Mlp), together


def all_of(resolved: Resolved, kind: type[T], stack: str = "") -> list[T]:
    """The ops of this type in a stack (the output one), layer by layer, parallel branches too; at least one."""
    found: list[T] = []
    chosen = resolved.stacks[stack or resolved.output]
    for layer in chosen.layers:
        for step in chosen.bodies[layer.body]:
            branches = step.parallel if isinstance(step, Parallel) else (step,)
            found += [branch.op for branch in branches if isinstance(branch, Branch) and isinstance(branch.op, kind)]
    if not found:
        raise CannotSay(f"there is {kind.__name__} in {stack or resolved.output}")
    return found


def keeping(resolved: Resolved, wanted: Callable[[Layer], bool]) -> Resolved:
    """The same with only these layers of the output stack; at least one."""
    stack = resolved.stacks[resolved.output]
    layers = tuple(layer for layer in stack.layers if wanted(layer))
    if not layers:
        raise CannotSay("some layers are of the family's main kind")
    return replace(resolved, stacks={**resolved.stacks, resolved.output: replace(stack, layers=layers)})


def is_tied(resolved: Resolved) -> bool:
    """The head shares its matrix; with what, reading back will tell."""
    return resolved.head is not None and expect(LinearLogits, resolved.head.logits, "the head").weights is not None


def spelling(activation: str) -> str:
    """The name of an activation in config.json."""
    if activation not in SPELLINGS:
        raise CannotSay(f"there is no name for the activation {activation}")
    return SPELLINGS[activation]
