"""The whole road: a spec with or without weights becomes a package. Without weights torch is never imported."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.interop.source import Source, open_weights_source
from archspec.spec import Resolved, dump, resolve, spec_hash, variant_hash
from compiler import pipeline
from compiler.cost.devices import device as known_device
from compiler.cost.formats import Storage, with_dtype
from compiler.cost.report import cost_of_program
from compiler.emit.package import Package, versions
from compiler.ir import text
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.passes.record import PassRecord

# Target -> the module whose `emit(program, tensors, folder, ...)` writes its files.
TARGETS = {"torch": "compiler.emit.torch", "onnx": "compiler.emit.onnx"}
# What handles tensors: imported only when there are any, because it imports torch.
TENSORS = "compiler.emit.tensors"

DTYPES = ("fp32", "bf16", "fp16")
DEVICES = ("cpu", "cuda")

Progress = Callable[[str, int, int], None]  # what is being done, how many of how many


@dataclass(frozen=True)
class Options:
    """What `archspec compile` can be told. `passes`: names, or None for all of them."""

    target: str = "torch"
    device: str = "cpu"
    dtype: str | None = None
    weights: str | None = None
    init: int | None = None
    passes: tuple[str, ...] | None = None
    runtime: str = "ort"
    probe: bool = True  # reference outputs and the error of each pass, for a package with weights


@dataclass(frozen=True)
class Compiled:
    """What was written: the folder, its files in order, and the content of report.json."""

    folder: Path
    files: tuple[Path, ...]
    report: Mapping[str, Any]


def compile_spec(
    source: Source, folder: Path, options: Options = Options(), progress: Progress | None = None
) -> Compiled:
    """Compile `source` into the new folder `folder`. InputError before anything is written if it cannot be done."""
    _check(options)
    say = progress or (lambda what, done, total: None)
    dtype = options.dtype or default_dtype(source, options)
    resolved = with_precision(source, options.dtype)
    say("lower", 0, 1)
    plain = lower(resolved)
    program, records = pipeline.run(plain, options.passes)
    target = importlib.import_module(TARGETS[options.target])
    tensors = _tensors(source, options, plain, program, dtype)
    tokens = {f"{name}_token_id": value for name, value in resolved.spec.origin.get("token_ids", {}).items()}
    with Package(folder) as package:
        package.write("spec.json", spec_text(resolved))
        package.write("graph.txt", text.dump(program))
        say("write", 0, 1)
        emission = target.emit(
            program, tensors, package.temporary, runtime=options.runtime, dtype=dtype, device=options.device,
            tokens=tokens, progress=lambda done, total: say("weights", done, total),
        )  # fmt: skip
        errors: Mapping[str, float | None] = {}
        if tensors is not None and options.probe:
            say("probe", 0, 1)
            tensors.probe(package.temporary / "probe.safetensors")
            errors = tensors.pass_errors(options.passes)
        if source.tokenizer is not None:
            _tokenizer(source.tokenizer, package)
        report = {
            "archspec": versions()["archspec"], "name": resolved.name,
            "hash": spec_hash(resolved), "variant": variant_hash(resolved),
            "target": options.target, "device": options.device, "dtype": dtype,
            **_cost(program, resolved, dtype, options.device),
            "passes": [_record(record, errors) for record in records],
            "weights": None if tensors is None else tensors.about(),
            **{name: value for name, value in vars(emission).items() if name != "files"},
            "versions": versions(),
        }  # fmt: skip
        package.finish(report)
    return Compiled(folder, tuple(sorted(folder.iterdir())), report)


def default_dtype(source: Source, options: Options) -> str:
    """The type that the spec itself asks for; else fp32 for a CPU and bf16 for a GPU.

    Always fp32 for what ONNX Runtime runs on a CPU.
    """
    if options.target == "onnx" and options.device == "cpu":
        return "fp32"
    precision = source.spec.precision
    if "weights" in precision.model_fields_set and precision.weights in DTYPES:
        return str(precision.weights)
    return "fp32" if options.device == "cpu" else "bf16"


def with_precision(source: Source, dtype: str | None) -> Resolved:
    """The resolved spec, its precision replaced where the caller asks for another one."""
    spec = source.spec
    if dtype is not None:
        precision = with_dtype(spec.precision, dtype)
        if precision != spec.precision:
            document = dict(spec._document) if spec._document else None
            spec = spec.model_copy(update={"precision": precision})
            if document is not None:
                spec._document = document | {"precision": precision.model_dump(mode="json", exclude_defaults=True)}
    resolved = resolve(spec)
    return resolved if resolved.name else replace(resolved, name=Path(source.text).stem or "model")


def spec_text(resolved: Resolved) -> str:
    """The spec in its canonical layout."""
    return dump(resolved.spec)


def _check(options: Options) -> None:
    for name, value, allowed in (
        ("--target", options.target, tuple(TARGETS)),
        ("--device", options.device, DEVICES),
        ("--dtype", options.dtype, DTYPES),
    ):
        if value is not None and value not in allowed:
            raise InputError(f"found {value!r}; allowed: {', '.join(allowed)}", source=name)
    if options.target != "onnx" and options.runtime != Options.runtime:
        raise InputError(f"found {options.runtime!r}, which is of --target onnx", source="--runtime")
    if options.weights is not None and options.init is not None:
        raise InputError("--weights and --init exclude each other", source="--init")
    pipeline.select(options.passes)


def _tensors(source: Source, options: Options, plain: Program, program: Program, dtype: str) -> Any:
    """The tensors of the package (see `compiler.emit.tensors`), or None where there are no weights."""
    path: Path | None
    path, tensors = source.weights, source.tensors
    if options.weights is not None:
        path, tensors = open_weights_source(options.weights)
    if options.init is None and path is None:
        return None
    module = importlib.import_module(TENSORS)
    if options.init is not None:
        return module.drawn(plain, program, options.init, dtype)
    return module.stored(plain, program, path, tensors, dtype)


def _tokenizer(source: Path, package: Package) -> None:
    importlib.import_module("compiler.weights.tokenizer").write_tokenizer(source, package.temporary)


def _cost(program: Program, resolved: Resolved, dtype: str, device: str) -> dict[str, Any]:
    """Parameters, operations, memory and expected speed, as `archspec show` counts them."""
    precision = with_dtype(resolved.spec.precision, dtype)
    report = cost_of_program(
        program, Storage(precision), context=resolved.max_length or 2048,
        device=known_device("cpu") if device == "cpu" else known_device("rtx-4090"),
    )  # fmt: skip
    wanted = ("parameters", "flops", "cache", "memory", "speed", "context", "no_step")
    return {key: value for key, value in report.to_json().items() if key in wanted}


def _record(record: PassRecord, errors: Mapping[str, float | None]) -> dict[str, Any]:
    return record.to_json() | ({"error": errors[record.name]} if record.name in errors else {})


__all__ = ["DTYPES", "TARGETS", "Compiled", "Options", "compile_spec"]
