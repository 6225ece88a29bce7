"""`archspec advise --task TASK`: which architecture to start from, with the reasons and the numbers."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from archspec.errors import NoAnswer
from archspec.interop.write import write_text
from compiler.cost.devices import DEFAULT_DEVICE
from search.advice import GIGABYTE, Advice, Option, Request, advise, starting_spec

PLAIN_WIDTH = 140  # of a table that goes to a file or a pipe


def command(
    task: Annotated[str, typer.Option(help="generate, understand, transform or code")],
    long_context: Annotated[
        bool, typer.Option("--long-context", help="long text (generate, understand, code)")
    ] = False,
    memory_gb: Annotated[float | None, typer.Option(help="memory in 1e9 bytes; without it the device's")] = None,
    multilingual: Annotated[bool, typer.Option("--multilingual", help="several languages (understand)")] = False,
    multitask: Annotated[bool, typer.Option("--multitask", help="several tasks (transform)")] = False,
    context: Annotated[int | None, typer.Option(help="tokens; without it what the kind of model is used for")] = None,
    batch: Annotated[int, typer.Option(help="sequences at once")] = 1,
    device: Annotated[str, typer.Option(help="rtx-4090, a100-80gb, h100-sxm, cpu, ...")] = DEFAULT_DEVICE,
    dtype: Annotated[str | None, typer.Option(help="bf16, int8, int4, ...; as the specs say")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="file for the spec to start from")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object, for machines")] = False,
) -> None:
    """Which architecture to start from: a decision tree with its reasons, and computed memory and speed.

    The strongest spec of the chosen branch that fits and was built for the context is recommended; if none fits, exit
    code 1 and the nearest.

    \b
    archspec advise --task generate --long-context --memory-gb 12 -o start.json
    archspec advise --task generate --memory-gb 32 --dtype int4
    archspec advise --task understand --multilingual --batch 8
    """
    found = advise(Request(task, long_context, multilingual, multitask, memory_gb, context, batch, device, dtype))
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
    else:
        _print(found)
    if found.recommended is None:
        raise NoAnswer(found.refusal)
    if output is not None:
        write_text(output, starting_spec(found.recommended.name, dtype))
        if not as_json:
            typer.echo(f"{output}: {found.recommended.name}")


def _print(found: Advice) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    for step in found.steps:
        console.print(f"{step.question} [bold]{step.answer}[/bold]: {step.reason}")
    console.print(
        f"[bold]{found.leaf.kind}[/bold], {found.context:,} tokens, batch {found.batch:,}, {found.device} with "
        f"{found.memory_bytes / GIGABYTE:.4g} GB\n"
    )
    console.print(_table("spec", found.options, found), "")
    if found.alternatives:
        console.print(_table("other answers to the last question", found.alternatives, found), "")
    if found.recommended:
        console.print(f"[bold]start from {found.recommended.name}[/bold]: the strongest that fits")
    for note in found.notes:
        console.print(f"note: {note}")


def _table(title: str, options: tuple[Option, ...], found: Advice) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(title, header_style="bold", no_wrap=True)
    for column in ("parameters", "weights GB", "cache GB", "total GB", "tokens/s"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for option in options:
        table.add_row(
            option.name, _count(option), _gigabytes(option.memory["weights"]), _gigabytes(option.memory["cache"]),
            _gigabytes(option.total_bytes), _speed(option), _verdict(option, found),
            style="bold" if option == found.recommended else None,
        )  # fmt: skip
    return table


def _gigabytes(size: int) -> str:
    return f"{size / GIGABYTE:,.2f}"


def _count(option: Option) -> str:
    total = f"{option.parameters / 1e9:.2f} B"
    return (
        total
        if option.active_parameters == option.parameters
        else f"{total}, {option.active_parameters / 1e9:.1f} active"
    )


def _speed(option: Option) -> str:
    if option.tokens_per_second is None:
        return ""
    return f"{option.tokens_per_second:,.0f}{'' if option.generates else ' read'}"


def _verdict(option: Option, found: Advice) -> str:
    words = (
        "fits"
        if option.fits
        else f"{(option.total_bytes - found.memory_bytes) / GIGABYTE:,.1f} GB too many: {option.binds}"
    )
    return words if option.reaches else f"{words}; built for {option.longest:,} tokens"
