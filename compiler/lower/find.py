"""Lowerings by type name: the module `compiler.lower.<room>.<type>` is the registration."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType


@cache
def available(room: str) -> frozenset[str]:
    """Type names that `compiler.lower.<room>` can lower."""
    package = importlib.import_module(f"compiler.lower.{room}")
    return frozenset(entry.name for entry in pkgutil.iter_modules(package.__path__))


@cache
def find(room: str, type_name: str) -> ModuleType | None:
    """The lowering module of `type_name`, or None where there is none."""
    return importlib.import_module(f"compiler.lower.{room}.{type_name}") if type_name in available(room) else None
