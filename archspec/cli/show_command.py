"""`archspec show SPEC`: parameters, operations, memory and speed, before any weight exists."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from archspec.cli.show_tables import print_parameters, print_report
from archspec.errors import InputError
from archspec.interop.recipe import sources
from archspec.interop.source import Source, open_source
from archspec.spec import Resolved, resolve
from compiler.cost.calibration import read_calibration
from compiler.cost.devices import DEFAULT_DEVICE
from compiler.cost.formats import Storage
from compiler.cost.report import cost
from compiler.lower.program import lower


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="spec file, zoo name, HF folder or GGUF")],
    context: Annotated[int | None, typer.Option(help="tokens; without it the spec's max_length")] = None,
    batch: Annotated[int, typer.Option(help="sequences at once")] = 1,
    dtype: Annotated[str | None, typer.Option(help="bf16, fp16, fp32, int8, int4, q4_0, ...; as the spec says")] = None,
    device: Annotated[str, typer.Option(help="rtx-4090, a100-80gb, h100-sxm, cpu, ...")] = DEFAULT_DEVICE,
    phase: Annotated[str, typer.Option(help="inference or training")] = "inference",
    chunk: Annotated[int | None, typer.Option(help="tokens of a prompt that go through at once")] = None,
    materialised: Annotated[bool, typer.Option(help="attention that keeps its scores in memory")] = False,
    calibration: Annotated[Path | None, typer.Option(help="JSON of measured efficiencies")] = None,
    parameters: Annotated[bool, typer.Option("--parameters", help="list every parameter with its source")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one object, for machines")] = False,
) -> None:
    """What an architecture costs: exact counts; memory and speed with their bound.

    \b
    archspec show llama-3-8b --context 8192 --device rtx-4090
    archspec show model.json --dtype int4 --json
    archspec show ./hf-folder --parameters
    """
    source = open_source(spec)
    resolved = resolve(source.spec)
    if not resolved.name:
        resolved = replace(resolved, name=Path(spec).stem)
    report = cost(
        resolved, context=context, batch=batch, dtype=dtype, device=device, phase=_phase(phase), chunk=chunk,
        materialised=materialised, calibration=read_calibration(calibration) if calibration else None,
    )  # fmt: skip
    rows = _parameters(source, resolved, report.storage) if parameters else []
    if as_json:
        found = report.to_json() | ({"parameter_list": rows} if parameters else {})
        typer.echo(json.dumps(found, indent=1))
        return
    if parameters:
        print_parameters(rows)
    print_report(report)


def _phase(text: str) -> Literal["inference", "training"]:
    if text == "inference":
        return "inference"
    if text == "training":
        return "training"
    raise InputError(f"unknown phase {text!r}; allowed: inference, training", source="--phase")


def _parameters(source: Source, resolved: Resolved, storage: Storage) -> list[dict[str, Any]]:
    """Every stored tensor: path, shape, dtype, bytes, and the tensors of the source that make it."""
    recipes = source.tensors.recipes if source.tensors else {}
    rows = []
    for path, param in lower(resolved).parameter_paths().items():
        kept = storage.weight(param.kind, path)
        made = sorted(sources(recipes[path])) if path in recipes else []
        rows.append({
            "path": path, "shape": list(param.shape), "kind": param.kind, "dtype": kept.name,
            "bytes": kept.bytes_of(param.shape), "source": made,
        })  # fmt: skip
    return rows
