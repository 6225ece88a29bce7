"""`archspec verify DIR`: is a package what its spec means?"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from archspec.errors import NoAnswer
from compiler.verify.folder import open_folder
from compiler.verify.package import Check, Verification, verify


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a package that archspec compile wrote")],
    weights: Annotated[
        str | None, typer.Option(metavar="ORIGINAL", help="the checkpoint it was made from: HF folder, GGUF, ...")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="run the package although its files were changed")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the table for machines")] = False,
) -> None:
    """Compare a package with the reference meaning of its unrewritten graph, in float64, error by error.

    Without --weights against the outputs kept in probe.safetensors (random weights where the package has none).
    Exit 1 if anything is above its tolerance, 2 if the package was changed after it was written or ORIGINAL says that
    it is another architecture.

    \b
    archspec verify out
    archspec verify out --weights SmolLM2-135M.gguf
    """
    found = verify(open_folder(folder, trust), weights)
    if as_json:
        typer.echo(json.dumps(_record(found)))
    else:
        _show(found)
    if found.failed:
        raise NoAnswer(f"{folder}: above tolerance: {', '.join(check.name for check in found.failed)}")


def _record(found: Verification) -> dict[str, object]:
    checks = [
        {k: str(v) if isinstance(v, float) and math.isinf(v) else v for k, v in asdict(check).items()}
        | {"passed": check.passed}
        for check in found.checks
    ]
    return {"passed": not found.failed, "checks": checks, "notes": list(found.notes)}


def _show(found: Verification) -> None:
    table = Table("what", "against", "largest error", "relative", "tolerance", "", box=None)
    for check in found.checks:
        table.add_row(check.name, check.against, _number(check.absolute), _number(check.relative),
                      _number(check.tolerance), _verdict(check))  # fmt: skip
    console = Console()
    console.print(table)
    for note in found.notes:
        console.print(note, markup=False)


def _number(value: float | None) -> str:
    return "" if value is None else "0" if value == 0 else f"{value:.1e}"


def _verdict(check: Check) -> str:
    return "[green]ok[/green]" if check.passed else "[red]above[/red]"
