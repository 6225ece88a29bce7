"""`archspec query "SELECT ..."`: read-only SQL on the store."""

import json
from typing import Annotated

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
        typer.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], default=str))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    out = console()
    out.print(table)
    out.print(f"{len(rows)} row{'' if len(rows) == 1 else 's'}")
