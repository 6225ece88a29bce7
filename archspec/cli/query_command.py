"""`archspec query "SELECT ..."`: read-only SQL on the store."""

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from archspec.cli.front_table import console
from store import DEFAULT_URL, open_store


def command(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="one SELECT statement")],
    store: Annotated[str, typer.Option(envvar="ARCHSPEC_STORE", help="any SQLite or PostgreSQL URL")] = DEFAULT_URL,
    as_json: Annotated[bool, typer.Option("--json", help="a list of objects, for machines")] = False,
) -> None:
    """Read the store with SQL; the connection cannot write.

    Tables: studies, trials, architectures, variants, metrics, rejections, environments.

    \b
    archspec query "SELECT name, seed, budget_bytes FROM studies"
    archspec query "SELECT kind, binding, count(*) AS n FROM rejections GROUP BY 1, 2"
    archspec query --json "SELECT variant, value FROM metrics WHERE name = 'quality' ORDER BY value DESC LIMIT 5"
    """
    with open_store(store, create=False) as opened:
        columns, rows = opened.query(sql)
    if as_json:
        names = _told_apart(columns)
        objects = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
        typer.echo(json.dumps(objects, default=str, allow_nan=False))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    out = console()
    out.print(table)
    out.print(f"{len(rows)} row{'' if len(rows) == 1 else 's'}")


def _told_apart(columns: Sequence[str]) -> list[str]:
    """Columns of one name get numbers: a, a_2."""
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names or (number > 1 and name in columns):
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names


def _plain(value: Any) -> Any:
    """What JSON can say: infinities and NaN are null, bytes are written in hexadecimal digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
