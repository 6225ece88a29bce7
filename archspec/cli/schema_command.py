"""`archspec schema`: JSON Schema for editors."""

import json
from pathlib import Path
from typing import Annotated

import typer

from archspec.errors import InputError
from archspec.spec import space_schema, spec_schema


def command(
    space: Annotated[bool, typer.Option("--space", help="the schema of search spaces, with holes")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="a file instead of standard output")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="on one line")] = False,
) -> None:
    """Print the JSON Schema of specs (or of search spaces), which an editor uses to complete and check.

    \b
    archspec schema -o spec.schema.json
    archspec schema --space -o space.schema.json
    """
    text = json.dumps(space_schema() if space else spec_schema(), indent=None if as_json else 1) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=str(output)) from None
