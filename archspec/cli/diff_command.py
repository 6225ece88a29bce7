"""`archspec diff A B`: differences between two specs, by path."""

import json
from typing import Annotated

import typer

from archspec.interop.source import open_spec
from archspec.spec import resolve, spec_hash
from archspec.spec.compare import differences


def command(
    first: Annotated[str, typer.Argument(metavar="A", help="spec file, zoo name, HF folder or GGUF")],
    second: Annotated[str, typer.Argument(metavar="B")],
    as_json: Annotated[bool, typer.Option("--json", help="one object, for machines")] = False,
) -> None:
    """Differences between two specs by path, after short forms, `like`, `set`, formulas and defaults are worked out.

    Exit 0 whether or not they differ; "same architecture" means equal hashes.

    \b
    archspec diff llama-2-7b llama-3-8b
    archspec diff before.json after.json --json
    """
    a, b = resolve(open_spec(first)), resolve(open_spec(second))
    same = spec_hash(a) == spec_hash(b)
    found = differences(a, b)
    if as_json:
        rows = [{"path": d.path, "first": d.first, "second": d.second} for d in found]
        typer.echo(json.dumps({"same_architecture": same, "differences": rows}, indent=1))
        return
    for d in found:
        typer.echo(f"{d.path}: {_shown(d.first)} -> {_shown(d.second)}")
    typer.echo("same architecture" if same else "different architectures")


def _shown(value: object) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
