"""`archspec doctor`: what this machine can do."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from archspec.cli.machine import survey


def command(
    as_json: Annotated[bool, typer.Option("--json", help="one object, for machines")] = False,
) -> None:
    """Versions, processor, memory, accelerators, ONNX Runtime's providers, compilers.

    \b
    archspec doctor
    archspec doctor --json
    """
    found = survey()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for section, entries in found.items():
        table.add_row(section, "")
        for name, value in entries.items():
            table.add_row(f"  {name}", _text(value))
    Console(highlight=False).print(table)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value > 2**20:
        return f"{value / 1e9:.2f} GB ({value / 2**30:.2f} GiB)"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not found" if value is None else str(value)
