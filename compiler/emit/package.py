"""A package folder: written beside its place under another name, renamed when it is whole."""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from archspec.errors import InputError
from archspec.version import VERSION

DISTRIBUTIONS = ("torch", "safetensors", "onnx", "onnxruntime", "tokenizers")


class Package:
    """`with Package(folder) as package:` — files go to `package.temporary`; `finish` puts the folder in its place.

    Whatever ends the block before `finish` leaves nothing behind. InputError if the place is taken or not writable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()
        self.temporary = Path()
        self.done = False

    def __enter__(self) -> Self:
        place = self.folder
        if place.is_symlink() or (place.exists() and not (place.is_dir() and not any(place.iterdir()))):
            raise InputError("exists already; name a new folder with -o", source=str(place))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            self.temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
            self.temporary.chmod(0o755)
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}", source=str(place)) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.done:
            shutil.rmtree(self.temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot be written: {error.strerror or error}", source=str(self.folder)) from error

    def write(self, name: str, content: str) -> None:
        (self.temporary / name).write_text(content, encoding="utf-8")

    def finish(self, report: Mapping[str, Any]) -> None:
        """Write report.json with size and SHA-256 of every other file, and move the folder to its place."""
        files = {
            file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(self.temporary.iterdir())
        }
        self.write("report.json", json.dumps({**report, "files": files}, indent=1) + "\n")
        if self.folder.exists():
            self.folder.rmdir()  # empty: checked on entry
        os.rename(self.temporary, self.folder)
        self.done = True


def sha256(file: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of what took part, as installed; nothing is imported to find out."""
    found = {"archspec": VERSION, "python": platform.python_version()}
    return found | {name: v for name in DISTRIBUTIONS if (v := _version(name))}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
