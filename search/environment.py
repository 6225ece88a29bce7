"""What a search ran on, as it is kept beside its trials."""

import platform
from importlib.metadata import PackageNotFoundError, version

from archspec.version import VERSION
from store.records import Environment

_PACKAGES = ("numpy", "optuna", "sqlalchemy", "pydantic", "networkx")


def environment() -> Environment:
    """This interpreter, machine and the packages that a search's numbers depend on."""
    return Environment(
        archspec=VERSION,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages={name: _version(name) for name in _PACKAGES},
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
