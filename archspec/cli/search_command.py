"""`archspec search --budget-gb 24`: architectures under a memory budget; everything lands in the store."""

import json
import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from archspec.cli.front_table import console, front_rows, print_comparison, print_front
from search import run
from search.loop import Progress as SearchProgress
from store import DEFAULT_URL, pareto_mask
from store.records import DUPLICATE, REJECTED

INTERRUPTED = 130  # what shells expect after Ctrl-C


def command(
    space: Annotated[
        str | None, typer.Argument(metavar="[SPACE]", help="a spec with holes; without it the embedded space")
    ] = None,
    budget_gb: Annotated[
        str | None, typer.Option(help="memory for everything the job holds: 24 (1e9 bytes), 24GB, 24GiB")
    ] = None,
    context: Annotated[int | None, typer.Option(help="tokens in the cache; 16384")] = None,
    batch: Annotated[int | None, typer.Option(help="sequences at once; 1")] = None,
    dtype: Annotated[str | None, typer.Option(help="replaces the floats of the space's precision")] = None,
    device: Annotated[str | None, typer.Option(help="rtx-4090, a100-80gb, ...")] = None,
    trials: Annotated[int | None, typer.Option(help="proposals in all, those of earlier runs included; 2000")] = None,
    seed: Annotated[int | None, typer.Option(help="the same seed gives the same search; 0")] = None,
    study: Annotated[str | None, typer.Option(help="its name in the store; the next free search-N")] = None,
    store: Annotated[str, typer.Option(envvar="ARCHSPEC_STORE", help="any SQLite or PostgreSQL URL")] = DEFAULT_URL,
    sampler: Annotated[str | None, typer.Option(help="front, nsga2 or random")] = None,
    workers: Annotated[int, typer.Option(help="processes that evaluate; the outcome does not depend on them")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="go on with --study, or with the newest")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one object, for machines")] = False,
) -> None:
    """Search architectures under a memory budget: quality up, memory down, speed up.

    The quality is a prior: a scaling law with published corrections and a sigma. Nothing is trained.

    \b
    archspec search --budget-gb 24
    archspec search my-space.json --budget-gb 80GiB --context 131072 --device h100-sxm --study long
    archspec search --resume --trials 4000
    """
    with _progress(shown=not as_json) as show, _stop_signals() as stopping:
        result = run(
            Path(space) if space else None,
            budget=budget_gb,
            context=context,
            batch=batch,
            dtype=dtype,
            device=device,
            trials=trials,
            seed=seed,
            sampler=sampler,
            study=study,
            store=store,
            resume=resume,
            workers=workers,
            on_progress=show,
            should_stop=stopping,
        )
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "study": result.study,
                    "trials": result.trials,
                    "evaluated": result.evaluated,
                    "rejected": result.rejected,
                    "duplicates": result.duplicates,
                    "front": front_rows(result.front),
                }
            )
        )
    else:
        out = console()
        out.print(
            f"{result.trials} trials: {result.evaluated} evaluated, {result.rejected} rejected, "
            f"{result.duplicates} duplicates; {len(result.front)} on the front"
        )
        print_front(out, result.front, result.candidates)
        print_comparison(out, result.candidates)
    if not result.finished:
        again = shlex.join(["archspec", "search", "--resume", "--study", result.study])
        hint = "" if store == DEFAULT_URL or "ARCHSPEC_STORE" in os.environ else f" --store {shlex.quote(store)}"
        typer.echo(f"stopped; everything so far is stored. Go on with: {again}{hint}", err=True)
        raise typer.Exit(INTERRUPTED)


@contextmanager
def _stop_signals() -> Iterator["_Stopping"]:
    """The first Ctrl-C (or SIGTERM) ends the search after the trial under way; a second one breaks off at once."""
    stopping = _Stopping()
    before = {number: signal.signal(number, stopping.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stopping:
    heard = False

    def __call__(self) -> bool:
        return self.heard

    def hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.heard:
            raise KeyboardInterrupt
        self.heard = True


@contextmanager
def _progress(*, shown: bool) -> Iterator["_Bar"]:
    """A bar with the best so far, on stderr, so that stdout holds the result alone."""
    columns = (
        TextColumn("searching"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    bar = _Bar(Progress(*columns, console=Console(stderr=True), disable=not shown))
    try:
        yield bar
    finally:
        if bar.task is not None:
            bar.progress.stop()


class _Bar:
    """Appears with the first batch: bad input is told before it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task: TaskID | None = None

    def __call__(self, now: SearchProgress) -> None:
        if self.progress.disable:
            return
        if self.task is None:
            self.progress.start()
            self.task = self.progress.add_task("search", total=now.total, best="")
        self.progress.update(self.task, completed=now.done, best=_best(now))


def _best(now: SearchProgress) -> str:
    """`front 143 | quality to 1.05, memory from 0.8 GB, speed to 900/s | 3 rejected, 9 duplicates`."""
    lost = f"{now.counts[REJECTED]} rejected, {now.counts[DUPLICATE]} duplicates"
    if not now.objectives:
        return lost
    worth = np.array(now.objectives) * [1, -1, 1]
    best = worth.max(axis=0)
    size = int(pareto_mask(worth).sum())
    reach = f"quality to {best[0]:.3f}, memory from {-best[1] / 1e9:.1f} GB, speed to {best[2]:.0f}/s"
    return f"front {size} | {reach} | {lost}"
