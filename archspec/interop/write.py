"""Writing a file in one go."""

import os
from pathlib import Path

from archspec.errors import InputError


def write_text(path: Path, text: str) -> None:
    """The whole file or nothing: written beside its place and renamed. InputError if the place cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}", source=str(path)) from None
