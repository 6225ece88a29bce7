"""A package folder as it is read back: its report, and whether the files are still those that were written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler.ir.graph import GraphError
from compiler.ir.program import Program
from compiler.ir.text import parse
from compiler.lower.program import lower


@dataclass(frozen=True)
class Folder:
    """`changed`: files that differ from what report.json says, or are missing."""

    path: Path
    report: Mapping[str, Any]
    changed: tuple[str, ...]

    @property
    def target(self) -> str:
        return str(self.report["target"])

    @property
    def dtype(self) -> str:
        return str(self.report["dtype"])

    def plain(self) -> Program:
        """The program before the passes, from spec.json."""
        return lower(resolve(load_spec(self.path / "spec.json")))

    def rewritten(self) -> Program:
        """The program after the passes, from graph.txt."""
        try:
            return parse((self.path / "graph.txt").read_text(encoding="utf-8"))
        except (OSError, GraphError) as error:
            raise InputError(f"cannot be read: {error}", source=str(self.path / "graph.txt")) from None

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()


def open_folder(path: Path, trust: bool = False) -> Folder:
    """The package in `path`. InputError if it is none, or if a file was changed and `trust` is not given."""
    file = path / "report.json"
    if not file.is_file():
        raise InputError("is no package: it has no report.json", source=str(path))
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        files = report["files"]
        known = {name: (entry["bytes"], entry["sha256"]) for name, entry in files.items()}
        target, _ = report["target"], report["dtype"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError("is no report of a package", source=str(file)) from None
    if target not in ("torch", "onnx"):
        raise InputError(f"cannot verify target {target!r}", source=str(file), path="/target")
    changed = tuple(name for name, (size, digest) in known.items() if not _same(path / name, size, digest))
    if changed and not trust:
        raise InputError(
            f"{', '.join(changed)} changed after archspec wrote the package (report.json has other hashes); "
            "model.py would be run: use --trust if you know why",
            source=str(path),
        )
    return Folder(path, report, changed)


def _same(file: Path, size: int, digest: str) -> bool:
    if not file.is_file() or file.stat().st_size != size:
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == digest
