"""Reading a resolved spec on the way back to config.json: what must be there, of which type."""

from typing import Any, TypeVar

from archspec.interop.hf.activations import SPELLINGS
from archspec.interop.hf.family import CannotSay
from archspec.spec import Resolved
from archspec.spec.types import Branch, LinearLogits

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


def is_tied(resolved: Resolved) -> bool:
    """The head shares its matrix; with what, reading back will tell."""
    return resolved.head is not None and expect(LinearLogits, resolved.head.logits, "the head").weights is not None


def spelling(activation: str) -> str:
    """The name of an activation in config.json."""
    if activation not in SPELLINGS:
        raise CannotSay(f"there is no name for the activation {activation}")
    return SPELLINGS[activation]
