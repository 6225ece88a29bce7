"""`archspec bench DIR`: prefill and decode speed and peak memory of a package on this machine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from archspec.benching import Measured, measure
from archspec.errors import InputError
from archspec.interop.source import open_spec
from archspec.spec import canonical, resolve, spec_hash, variant_hash
from search.environment import environment
from store import DEFAULT_URL, Store, open_store
from store.records import Metric, Variant


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a torch package")],
    prompt: Annotated[int, typer.Option(help="tokens of the prompt")] = 512,
    tokens: Annotated[int, typer.Option(help="tokens to decode after it")] = 64,
    batch: Annotated[int, typer.Option(help="sequences at once")] = 1,
    rounds: Annotated[int, typer.Option(help="the median of so many")] = 3,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    compile: Annotated[bool, typer.Option("--compile", help="let torch.compile build the layers first")] = False,
    store: Annotated[str, typer.Option(envvar="ARCHSPEC_STORE", help="any SQLite or PostgreSQL URL")] = DEFAULT_URL,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="keep the result in the store")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="one object, for machines")] = False,
) -> None:
    """Run random tokens through a package and say how fast it is here; the result is kept in the store.

    \b
    archspec bench out
    archspec bench out --prompt 128 --tokens 32 --compile --no-keep --json
    """
    if min(prompt, tokens, batch, rounds) < 1:
        raise InputError("--prompt, --tokens, --batch and --rounds must be at least 1", source="bench")
    found = measure(folder, device, prompt, tokens, batch, rounds, compile)
    if keep:
        with open_store(store) as opened:
            _keep(opened, folder, found, device)
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"store": store if keep else None}))
        return
    decode = (
        "it cannot step" if found.decode_tokens_per_second is None else f"{found.decode_tokens_per_second:.1f} tok/s"
    )
    typer.echo(f"{folder}: {found.dtype}, {found.threads} threads, batch {batch}{', compiled' if compile else ''}")
    typer.echo(f"  prefill of {prompt}  {found.prefill_tokens_per_second:.0f} tok/s")
    typer.echo(f"  decode of {found.new}  {decode}")
    typer.echo(f"  loaded in {found.load_seconds:.1f} s, peak memory of the process {found.peak_bytes / 1e9:.2f} GB")
    if keep:
        typer.echo(
            f"  kept in {store}: archspec query \"SELECT name, value, unit FROM metrics WHERE fidelity = 'measured'\""
        )


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
