"""`archspec bench DIR...`: prefill and decode speed and peak memory of packages on this machine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from archspec.benching import Measured, Setting, measure
from archspec.errors import InputError
from archspec.interop.source import open_spec
from archspec.spec import canonical, resolve, spec_hash, variant_hash
from search.environment import environment
from store import DEFAULT_URL, Store, open_store
from store.records import Metric, Variant


def command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="torch packages, measured in turn")],
    prompt: Annotated[int, typer.Option(help="tokens of the prompt")] = 512,
    tokens: Annotated[int, typer.Option(help="tokens to decode after it")] = 64,
    batch: Annotated[int, typer.Option(help="sequences at once")] = 1,
    rounds: Annotated[int, typer.Option(help="the median of so many")] = 3,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    compile: Annotated[bool, typer.Option("--compile", help="let torch.compile build the layers first")] = False,
    store: Annotated[str, typer.Option(envvar="ARCHSPEC_STORE", help="any SQLite or PostgreSQL URL")] = DEFAULT_URL,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="keep the result in the store")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="one object for each package, for machines")] = False,
) -> None:
    """Run random tokens through packages and say how fast they are here; the results are kept in the store.

    Several packages run in turn, so that their ratio holds on a busy machine.

    \b
    archspec bench out
    archspec bench plain out
    archspec bench out --prompt 128 --tokens 32 --compile --no-keep --json
    """
    if min(prompt, tokens, batch, rounds) < 1:
        raise InputError("--prompt, --tokens, --batch and --rounds must be at least 1", source="bench")
    how = Setting(prompt, tokens, batch, rounds, device, compile)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task("measuring", total=len(folders) * (rounds + 1))
        found = measure(folders, how, lambda: bar.advance(task))
    if keep:
        with open_store(store) as opened:
            for folder, one in zip(folders, found, strict=True):
                _keep(opened, folder, one, device)
    if as_json:
        rows = [asdict(one) | {"store": store if keep else None} for one in found]
        typer.echo(json.dumps(rows[0] if len(rows) == 1 else rows))
        return
    Console().print(_table(found, how))
    for one in found:
        if one.decode_tokens_per_second is None:
            typer.echo(f"{one.folder}: it cannot step")
    if keep:
        typer.echo(
            f"kept in {store}: archspec query \"SELECT name, value, unit FROM metrics WHERE fidelity = 'measured'\""
        )


def _table(found: list[Measured], how: Setting) -> Table:
    """A row for each package; with several, its ratio to the first."""
    first, several = found[0], len(found) > 1
    title = f"{first.threads} threads, batch {how.batch}{', compiled' if how.compile else ''}"
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("", "type", f"prefill of {how.prompt}, tok/s", f"decode of {how.new}, tok/s"):
        table.add_column(heading, justify="left" if heading in ("", "type") else "right")
    table.add_column("loaded in, s", justify="right")
    if not several:
        table.add_column("peak of the process, GB", justify="right")

    def speed(value: float | None, base: float | None) -> str:
        if value is None:
            return "-"
        ratio = f" ({value / base:.2f} x)" if several and base else ""
        return f"{value:.{0 if value >= 100 else 1}f}{ratio}"

    for one in found:
        row = [
            one.folder, one.dtype, speed(one.prefill_tokens_per_second, first.prefill_tokens_per_second),
            speed(one.decode_tokens_per_second, first.decode_tokens_per_second), f"{one.load_seconds:.1f}",
        ]  # fmt: skip
        table.add_row(*row, *([] if several else [f"{one.peak_bytes / 1e9:.2f}"]))
    return table


def _keep(store: Store, folder: Path, found: Measured, device: str) -> None:
    """What was measured, beside the package's variant, with where it ran."""
    resolved = resolve(open_spec(folder / "spec.json"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    counts, here = report["parameters"], asdict(environment())
    variant = Variant(
        spec_hash(resolved), variant_hash(resolved), json.dumps(canonical(resolved.spec), sort_keys=True),
        counts["total"], counts["active"], counts["non_embedding_active"],
    )  # fmt: skip

    def metric(name: str, value: float, unit: str) -> Metric:
        detail = {"threads": found.threads, "compiled": found.compiled, "new_tokens": found.new, "where": here}
        return Metric(
            variant.hash, variant.variant, name, value, unit, "measured", device=device,
            context=found.prompt + found.new, batch=found.batch, precision=found.dtype, detail=detail,
        )  # fmt: skip

    metrics = [
        metric("prefill_speed", found.prefill_tokens_per_second, "token/s"),
        metric("peak_process_memory", float(found.peak_bytes), "B"),
    ]
    if found.decode_tokens_per_second is not None:
        metrics.append(metric("decode_speed", found.decode_tokens_per_second, "token/s"))
    store.add_metrics(variant, metrics)
