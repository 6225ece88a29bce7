"""archspec import SPEC -o spec.json"""

import json
from pathlib import Path
from typing import Annotated

import typer

from archspec.interop.source import open_source
from archspec.interop.write import write_text
from archspec.spec.layout import dump


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="Hugging Face folder, config.json or GGUF file")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="file to write; printed without it")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object about what was read")] = False,
) -> None:
    """A Hugging Face config.json or a GGUF file becomes a spec.

    A field that might change the computation and is not understood is refused by name. What config.json says beyond the
    architecture is kept in `origin`, so that `archspec export` gives the same file back.

    Examples: archspec import ./Llama-3.2-1B -o spec.json; archspec import model.gguf -o spec.json
    """
    source = open_source(spec)
    text = dump(source.spec)
    if output is None and not as_json:
        typer.echo(text, nl=False)
        return
    if output is not None:
        write_text(output, text)
    stored = len(source.tensors.recipes) if source.tensors else None
    report = {
        "name": source.spec.name,
        "kind": source.kind,
        "spec": str(output) if output else None,
        "weights": str(source.weights) if source.weights else None,
        "tensors": stored,
        "tokenizer": str(source.tokenizer) if source.tokenizer else None,
    }
    if as_json:
        typer.echo(json.dumps(report))
    else:
        typer.echo(f"{output}: {source.spec.name}, from {source.kind} {spec}")
