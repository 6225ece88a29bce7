"""`archspec fmt FILE...`: rewrite spec files in canonical layout."""

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from archspec.errors import InputError
from archspec.spec import dump, has_holes, load_space, load_spec, resolve
from archspec.spec.load import read_json


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="spec or space files")],
    check: Annotated[bool, typer.Option("--check", help="write nothing; exit 1 if a file would change")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one object for each file, for machines")] = False,
) -> None:
    """Rewrite spec files in canonical layout: keys in the order of the grammar, the author's short forms kept.

    \b
    archspec fmt model.json
    archspec fmt --check examples/*.json
    """
    formatted = {file: _formatted(file) for file in files}  # every file is checked before any is written
    results = []
    for file, text in formatted.items():
        changed = file.read_text(encoding="utf-8") != text
        if changed and not check:
            _replace(file, text)
        results.append({"file": str(file), "changed": changed})
        if changed and not as_json:
            typer.echo(f"{file}: {'would change' if check else 'rewritten'}")
    if as_json:
        typer.echo(json.dumps(results, indent=1))
    if check and any(result["changed"] for result in results):
        raise typer.Exit(1)


def _formatted(file: Path) -> str:
    document = read_json(file)
    if has_holes(document):
        load_space(document, str(file))
    else:
        resolve(load_spec(document, str(file)))
    return dump(document)


def _replace(file: Path, text: str) -> None:
    """Whole or not at all: the text is written beside the file and renamed."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(name, file.stat().st_mode & 0o777)
        os.replace(name, file)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=str(file)) from None
