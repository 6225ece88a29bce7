"""archspec: declare a language-model architecture, validate, cost, compile, verify, search and store it.

Importing the package loads nothing; names are resolved on first use (PEP 562).
"""

import importlib
from typing import Any

_HOMES = {
    "load": "archspec.api",
    "compile": "archspec.api",
    "search": "archspec.api",
    "open_store": "archspec.api",
}

__all__ = ["compile", "load", "open_store", "search"]  # noqa: F822 - resolved by __getattr__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archspec' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
