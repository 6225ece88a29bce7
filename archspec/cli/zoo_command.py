"""`archspec zoo`: list the named specs with a few facts read from their JSON, or print one as it stands."""

import json
import sys
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from archspec import zoo

WIDTH = 160  # of the table when it goes to a file or a pipe


def command(
    name: Annotated[str | None, typer.Argument(help="print this spec as it is written")] = None,
    search: Annotated[str | None, typer.Option(help="only specs whose name, source or ops hold this text")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for machines: a list of facts, or the spec itself")] = False,
) -> None:
    """List the named specs, or print one.

    Examples: archspec zoo · archspec zoo llama-3-8b · archspec zoo --search mamba · archspec zoo --json
    """
    if name is not None:
        sys.stdout.write(zoo.path(name.removeprefix("zoo:")).read_text(encoding="utf-8"))
        return
    rows = [row for row in map(facts, zoo.names()) if _found(row, search)]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    elif rows:
        _table(rows)
    else:
        print(f"no spec holds {search!r}; `archspec zoo` lists all {len(zoo.names())}")


def facts(name: str) -> dict[str, Any]:
    """What a reader wants to see at once. Layers and width by stack, counted without resolving anything."""
    document = zoo.read(name)
    stacks = {
        stack: {"d_model": body["d_model"], "layers": _layers(body.get("layers", []))}
        for stack, body in document["stacks"].items()
    }
    return {
        "name": name,
        "source": document.get("source", ""),
        "stacks": stacks,
        "max_length": document.get("max_length"),
        "vocab_size": document.get("vocab_size"),
        "ops": sorted(_ops(document["stacks"])),
    }


def _layers(entries: list[Any]) -> int:
    return sum(
        entry["repeat"] * _layers(entry["of"]) if isinstance(entry, dict) and "repeat" in entry else 1
        for entry in entries
    )


def _ops(value: Any, key: str = "") -> set[str]:
    """The types of all ops below `value`; one may be an object, a bare string, or set at a JSON pointer."""
    own = set()
    if key.rpartition("/")[2] == "op":
        own = {value if isinstance(value, str) else value["type"]}
    if isinstance(value, dict):
        return own.union(*(_ops(inner, name) for name, inner in value.items()))
    if isinstance(value, list):
        return own.union(*(_ops(inner) for inner in value))
    return own


def _found(row: dict[str, Any], search: str | None) -> bool:
    text = f"{row['name']} {row['source']} {' '.join(row['ops'])}".lower()
    return search is None or search.lower() in text


def _table(rows: list[dict[str, Any]]) -> None:
    console = Console()
    if not console.is_terminal:  # for grep and pagers: nothing is cut
        console = Console(width=WIDTH)
    lines = [_line(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, title in enumerate(("name", "layers", "width", "context")):
        needed = max(len(line[column]) for line in lines)
        table.add_column(title, justify="right" if column else "left", min_width=needed, no_wrap=True)
    table.add_column("source", overflow="ellipsis", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    console.print(table)
    print(f"{len(rows)} specs; `archspec zoo NAME` prints one, `archspec show NAME` costs it")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    stacks = [stack for stack in row["stacks"].values() if stack["layers"]]
    layers = "+".join(str(stack["layers"]) for stack in stacks)
    widths = "/".join(dict.fromkeys(f"{stack['d_model']:,}" for stack in stacks))
    context = f"{row['max_length']:,}" if row["max_length"] else ""
    return row["name"], layers, widths, context, row["source"]
