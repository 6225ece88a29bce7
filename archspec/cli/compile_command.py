"""`archspec compile SPEC`: write a PyTorch or ONNX package."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from archspec.errors import InputError
from archspec.interop.source import Source, open_source, slug
from compiler.emit.compile import Compiled, Options, compile_spec

STAGES = {"lower": "lowering", "write": "writing", "weights": "writing weights", "probe": "reference outputs"}


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="spec file, zoo name, HF folder, GGUF or package")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="a new folder; ./NAME without it")
    ] = None,
    target: Annotated[str, typer.Option(help="torch or onnx")] = "torch",
    device: Annotated[str, typer.Option(help="cpu or cuda: what the package is meant for")] = "cpu",
    dtype: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; without it as the spec says")] = None,
    weights: Annotated[str | None, typer.Option(metavar="PATH", help="HF folder, GGUF, safetensors or package")] = None,
    init: Annotated[int | None, typer.Option(metavar="SEED", help="random weights instead")] = None,
    passes: Annotated[str, typer.Option(help="all, none, or names separated by commas")] = "all",
    runtime: Annotated[str, typer.Option(help="onnx only: ort, genai or portable")] = "ort",
    quantize: Annotated[str | None, typer.Option(help="not available yet")] = None,
    sparsify: Annotated[str | None, typer.Option(help="not available yet")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print report.json")] = False,
) -> None:
    """A spec becomes a package: model.py or model.onnx, weights if there are any, report.json, probe.safetensors.

    A SPEC that carries weights (HF folder, GGUF) needs no --weights; with neither weights nor --init none are written.

    \b
    archspec compile llama-3.1-405b -o out
    archspec compile model.gguf -o out --dtype fp32
    archspec compile ./hf-folder -o out --target onnx --runtime genai
    """
    for name, value in (("--quantize", quantize), ("--sparsify", sparsify)):
        if value is not None:
            raise InputError("is not available yet; weights are written in a float type", source=name)
    source = open_source(spec)
    options = Options(target, device, dtype, weights, init, _passes(passes), runtime)
    folder = output or Path(slug(source.spec.name or Path(spec).stem))
    compiled = _shown(source, folder, options)
    if as_json:
        typer.echo(json.dumps(compiled.report, indent=1))
    else:
        _tell(compiled)


def _passes(text: str) -> tuple[str, ...] | None:
    if text == "all":
        return None
    return () if text == "none" else tuple(name.strip() for name in text.split(",") if name.strip())


def _shown(source: Source, folder: Path, options: Options) -> Compiled:
    """Compile with a progress bar on stderr."""
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("reading", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=STAGES.get(what, what), completed=done, total=total if done else None)

        return compile_spec(source, folder, options, step)


def _tell(compiled: Compiled) -> None:
    report = compiled.report
    typer.echo(f"{compiled.folder}: {report['name']} for {report['target']}, {report['dtype']}")
    for record in report["passes"]:
        if record["matched"]:
            error = record.get("error")
            changed = f", changes outputs by {error:.1e}" if error is not None else ""
            typer.echo(f"  {record['name']}: {record['matched']} of {record['expected']} places{changed}")
        for refusal in record["refused"]:
            typer.echo(f"  {record['name']} left {refusal['graph']}/{refusal['node']} alone: {refusal['reason']}")
    size = sum(file.stat().st_size for file in compiled.files)
    typer.echo(f"  {len(compiled.files)} files, {size / 1e6:.1f} MB: {', '.join(f.name for f in compiled.files)}")
    if report["weights"] is None:
        typer.echo("  no weights: give --weights PATH or --init SEED to have them")
