"""Operators, one folder each; the folder is the registration."""

import importlib
import importlib.util
import pkgutil
from functools import cache
from types import ModuleType

from compiler.ops.base import Op


@cache
def names() -> frozenset[str]:
    """Names of all operators: the folders beside this file."""
    return frozenset(entry.name for entry in pkgutil.iter_modules(__path__) if entry.ispkg)


@cache
def get(name: str) -> Op:
    """The declaration of operator `name` (KeyError if there is none)."""
    if name not in names():
        raise KeyError(name)
    op = importlib.import_module(f"compiler.ops.{name}.shape").OP
    assert isinstance(op, Op) and op.name == name, name
    return op


@cache
def meaning(name: str) -> ModuleType:
    """The reference meaning (imports torch)."""
    return importlib.import_module(f"compiler.ops.{name}.meaning")


@cache
def write(name: str, target: str) -> ModuleType | None:
    """How `target` ("torch", "onnx") says it, or None where it cannot."""
    home = f"compiler.ops.{name}.write_{target}"
    return importlib.import_module(home) if importlib.util.find_spec(home) else None
