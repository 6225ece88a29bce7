"""Lowerings by type name: the module `compiler.lower.<room>.<type>` is the registration, and for a mixer that has an
operator of its own name `lower.py` in that operator's folder."""

import importlib
import importlib.util
import pkgutil
from functools import cache
from types import ModuleType

from compiler import ops


@cache
def available(room: str) -> frozenset[str]:
    """Type names that have a module in `compiler.lower.<room>`."""
    package = importlib.import_module(f"compiler.lower.{room}")
    return frozenset(entry.name for entry in pkgutil.iter_modules(package.__path__))


@cache
def find(room: str, type_name: str) -> ModuleType | None:
    """The lowering module of `type_name`, or None where there is none."""
    if type_name in available(room):
        return importlib.import_module(f"compiler.lower.{room}.{type_name}")
    home = f"compiler.ops.{type_name}.lower"
    if room == "mixers" and type_name in ops.names() and importlib.util.find_spec(home):
        return importlib.import_module(home)
    return None
