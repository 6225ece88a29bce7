"""`archspec pareto`: the front of one study or of all, as a table, as JSON, as a picture."""

import importlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from archspec.cli.front_table import console, front_rows, print_comparison, print_front
from archspec.errors import InputError, NoAnswer
from compiler.cost.devices import device as known_device
from search.budget import parse_bytes
from store import DEFAULT_URL, Store, open_store
from store.fronts import front as front_of
from store.records import Candidate

# Ending -> the module that draws it, loaded only when it is asked for: each takes 0.5 s.
PLOTS = {".html": "search.plot_html", ".png": "search.plot_png"}


def command(
    study: Annotated[str | None, typer.Option(help="one study; without it all")] = None,
    max_memory_gb: Annotated[str | None, typer.Option(help="24 (1e9 bytes), 24GB or 24GiB")] = None,
    min_speed: Annotated[float | None, typer.Option(help="tokens a second in decode")] = None,
    context: Annotated[int | None, typer.Option(help="only studies at this context")] = None,
    device: Annotated[str | None, typer.Option(help="only studies on this device")] = None,
    plot: Annotated[Path | None, typer.Option(help="write a picture: FILE.html or FILE.png")] = None,
    store: Annotated[str, typer.Option(envvar="ARCHSPEC_STORE", help="any SQLite or PostgreSQL URL")] = DEFAULT_URL,
    as_json: Annotated[bool, typer.Option("--json", help="a list, for machines")] = False,
) -> None:
    """The Pareto front: quality and speed up, memory down. Exit 1 if nothing passes the filters.

    \b
    archspec pareto --study search-1
    archspec pareto --max-memory-gb 16 --min-speed 30 --plot front.html
    archspec pareto --json | jq '.[0].spec' > best.json
    """
    draw = _drawing(plot) if plot else None
    limit = parse_bytes(max_memory_gb, source="--max-memory-gb") if max_memory_gb is not None else None
    if min_speed is not None and not 0 <= min_speed < math.inf:
        raise InputError(f"found {min_speed}; a number from 0 is needed", source="--min-speed")
    with open_store(store, create=False) as opened:
        candidates = opened.candidates(
            study, max_memory_bytes=limit, min_tokens_per_second=min_speed, context=context,
            device=_device(device, opened) if device is not None else None,
        )  # fmt: skip
    front = front_of(candidates)
    if plot and draw and front:
        draw(plot, candidates, front)
    if as_json:
        typer.echo(json.dumps(front_rows(front)))
    else:
        out = console()
        print_front(out, front, candidates)
        print_comparison(out, candidates)
        if plot and front:
            typer.echo(f"wrote {plot}", err=True)
    if not front:
        raise NoAnswer("no feasible candidate in the store passes these filters")


def _device(name: str, store: Store) -> str:
    """A device under the name that studies have: theirs, or that of a known one."""
    return name if name in store.device_names() else known_device(name).name


def _drawing(plot: Path) -> Callable[[Path, Sequence[Candidate], Sequence[Candidate]], None]:
    """The function that draws `plot`; checked before anything is read."""
    module = PLOTS.get(plot.suffix.lower())
    if module is None:
        raise InputError(f"found '{plot}'; a picture is FILE.html or FILE.png", source="--plot")
    if not plot.parent.is_dir():
        raise InputError(f"there is no folder {plot.parent}", source="--plot")
    if plot.is_dir():
        raise InputError(f"{plot} is a folder", source="--plot")
    draw: Callable[[Path, Sequence[Candidate], Sequence[Candidate]], None] = importlib.import_module(module).draw
    return draw
