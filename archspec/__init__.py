"""archspec: declare a language-model architecture, validate, cost, compile, verify, search and store it.

Importing the package loads nothing; names are resolved on first use (PEP 562).
"""

import importlib
from typing import Any

# Name -> where it is, and what it is called there.
_HOMES = {
    "load": ("archspec.api", "load"),
    "compile": ("archspec.api", "compile"),
    "search": ("search", "run"),
    "open_store": ("store", "open_store"),
}

__all__ = ["compile", "load", "open_store", "search"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archspec' has no attribute {name!r}")
    home, called = _HOMES[name]
    return getattr(importlib.import_module(home), called)
