"""archspec export SPEC -o config.json"""

import json
from pathlib import Path
from typing import Annotated

import typer

from archspec.interop.huggingface import export_config
from archspec.interop.source import open_spec
from archspec.interop.write import write_text


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="spec file, zoo name, Hugging Face folder or GGUF file")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="file to write; printed without it")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object, for machines")] = False,
) -> None:
    """A spec becomes a Hugging Face config.json.

    An unedited import gives the same file back. In an edited one the fields are replaced that the spec determines. An
    architecture that no config.json can say is refused, with the first place that it cannot say.

    Examples: archspec export spec.json -o config.json; archspec export llama-3-8b
    """
    text = export_config(open_spec(spec))
    if output is not None:
        write_text(output, text)
    if as_json:
        typer.echo(json.dumps({"file": None if output is None else str(output), "config": json.loads(text)}))
    elif output is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"{output}: written from {spec}")
