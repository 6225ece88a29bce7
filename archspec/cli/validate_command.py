"""`archspec validate SPEC...`: check specs; errors name file and JSON path."""

import json
from pathlib import Path
from typing import Annotated

import typer

from archspec.errors import InputError
from archspec.interop.source import open_spec
from archspec.spec import has_holes, load_space, resolve, spec_hash, variant_hash
from archspec.spec.load import read_json


def command(
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC...", help="spec or space file, zoo name, HF folder or GGUF")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="one object for each spec, for machines")] = False,
) -> None:
    """Check specs and search spaces: JSON, types, names, numbers, causality and sources. Exit 2 if any is wrong.

    \b
    archspec validate model.json
    archspec validate llama-3-8b examples/*.json --json
    """
    results = [_check(text) for text in specs]
    if as_json:
        typer.echo(json.dumps(results, indent=1))
    for result in results:
        if not result["valid"]:
            typer.echo(f"archspec: {result['error']}", err=True)
        elif not as_json:
            about = f"hash {str(result['hash'])[:12]}" if "hash" in result else f"a space of {result['holes']} holes"
            typer.echo(f"{result['source']}: valid, {about}")
    if not all(result["valid"] for result in results):
        raise typer.Exit(2)


def _check(text: str) -> dict[str, str | bool | int]:
    try:
        if (path := Path(text)).is_file() and path.suffix == ".json" and has_holes(document := read_json(path)):
            return {"source": text, "valid": True, "holes": len(load_space(document, text).holes())}
        resolved = resolve(open_spec(text))
    except InputError as error:
        return {"source": text, "valid": False, "error": str(error), "path": error.path, "message": error.message}
    hashes = {"hash": spec_hash(resolved), "variant": variant_hash(resolved)}
    return {"source": text, "valid": True, "name": resolved.name, **hashes}
