"""Fronts for people and for machines."""

import json
import sys
from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from search.compare import Comparison, Difference, compare
from search.describe import describe, precision
from search.envelope import setting
from store.fronts import by_setting, equals
from store.records import Candidate

ROWS = 24  # of a long front, spread over it
FEW_ROWS = 12  # of each, where there are many
PLAIN_WIDTH = 140  # of a table that goes to a file or a pipe


def console() -> Console:
    """For results, on stdout: as wide as the terminal, always the same where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)


def front_rows(front: Sequence[Candidate]) -> list[dict[str, Any]]:
    """What `pareto --json` prints."""
    return [
        {
            "study": c.study,
            "trial": c.trial,
            "hash": c.hash,
            "variant": c.variant,
            "quality": c.quality,
            "quality_sigma": c.quality_sigma,
            "fidelity": c.fidelity,
            "context": c.context,
            "batch": c.batch,
            "device": c.device,
            "memory_bytes": c.memory_bytes,
            "tokens_per_second": c.tokens_per_second,
            "spec": json.loads(c.spec),
        }
        for c in front
    ]


def spread(front: Sequence[list[Candidate]], rows: int = ROWS) -> list[list[Candidate]]:
    """At most `rows` of a front, evenly along it, both ends included."""
    if len(front) <= rows:
        return list(front)
    return [front[round(i * (len(front) - 1) / (rows - 1))] for i in range(rows)]


def print_front(console: Console, front: Sequence[Candidate], candidates: Sequence[Candidate]) -> None:
    """The front, best quality first, a table for each setting; of candidates that nothing tells apart the first.

    A mark says which of it parameters alone would have picked.
    """
    if not front:
        console.print("nothing is feasible here")
        return
    by_parameters = {c.key for c in compare(candidates).by_parameters}
    several_studies = len({c.study for c in front}) > 1
    groups = by_setting(front)
    rows = max(FEW_ROWS, ROWS // len(groups))
    for group in groups:
        name = "Pareto front" if len(groups) == 1 else f"Pareto front at {setting(group[0])}"
        _print_table(console, name, equals(group), by_parameters, rows=rows, several_studies=several_studies)


def _print_table(
    console: Console,
    name: str,
    front: Sequence[list[Candidate]],
    by_parameters: Container[tuple[Any, ...]],
    *,
    rows: int,
    several_studies: bool,
) -> None:
    """`front`: lists of equal candidates of one setting."""
    shown = spread(front, rows)
    ties = any(len(equal) > 1 for equal in front)
    different = " different" if ties else ""
    part = f", {len(shown)} of {len(front)}{different}" if len(shown) < len(front) else ""
    table = Table(title=f"{name}{part} (* also picked by parameters alone)", box=box.SIMPLE, padding=(0, 1, 0, 0))
    if several_studies:
        table.add_column("study")
    table.add_column("trial", justify="right", no_wrap=True)
    if ties:
        table.add_column("", justify="right", no_wrap=True)
    table.add_column(f"quality ({front[0][0].fidelity})", no_wrap=True)
    table.add_column("GB", justify="right", no_wrap=True)
    table.add_column("tokens/s", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("weights/\ncache", no_wrap=True)
    table.add_column("layers x width, heads : KV heads x size,\nlayers with a window, feed-forward")
    for equal in shown:
        c = equal[0]
        table.add_row(
            *([c.study] if several_studies else []),
            f"{'*' if c.key in by_parameters else ''}{c.trial}",
            *([f"{len(equal)} equal" if len(equal) > 1 else ""] if ties else []),
            f"{c.quality:.3f} ± {c.quality_sigma:.3f}",
            f"{c.memory_bytes / 1e9:.2f}",
            f"{c.tokens_per_second:.1f}",
            _amount(c.parameters_total),
            precision(c.spec),
            describe(c.spec),
        )
    console.print(table)


def print_comparison(console: Console, candidates: Sequence[Candidate]) -> None:
    """The front beside the one of parameters alone: how far they agree, and why not where they do not."""
    comparison = compare(candidates)
    if not comparison.by_quality:
        return
    console.print(_agreement(comparison))
    if not comparison.only_by_parameters:
        return
    several_studies = len({c.study for c in candidates}) > 1
    counts = Counter(d.correction for d in comparison.only_by_parameters)
    table = Table(title="Where parameters alone would choose otherwise", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("mostly because of")
    table.add_column("how often", justify="right")
    table.add_column("for example: picked by size alone")
    table.add_column("no worse in quality, memory and speed")
    for correction, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        example = _largest([d for d in comparison.only_by_parameters if d.correction == correction])
        name = correction.replace("_", " ") or "quality"
        pair = (_example(c, with_study=several_studies) for c in (example.candidate, example.better))
        table.add_row(name, str(count), *pair)
    console.print(table)


def _agreement(comparison: Comparison) -> str:
    return (
        f"Parameters alone (active, without embeddings) would give a front of {len(comparison.by_parameters)}: "
        f"{comparison.both} are on both, {len(comparison.only_by_quality)} only by the quality prior, "
        f"{len(comparison.by_parameters) - comparison.both} only by parameters."
    )


def _largest(differences: Sequence[Difference]) -> Difference:
    return max(differences, key=lambda d: (d.candidate.parameters_active_non_embedding, -d.candidate.trial))


def _example(c: Candidate, *, with_study: bool) -> str:
    size, trial = _amount(c.parameters_active_non_embedding), f"{c.study} {c.trial}" if with_study else c.trial
    return f"{trial}: {size}, quality {c.quality:.3f}, {c.memory_bytes / 1e9:.2f} GB, {c.tokens_per_second:.0f}/s"


def _amount(parameters: int) -> str:
    """`14.9B`, `135M`."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if parameters >= size:
            return f"{parameters / size:.3g}{letter}"
    return str(parameters)
