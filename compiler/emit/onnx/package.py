"""A program and its tensors become `model.onnx`, `model.onnx.data` and, for genai, `genai_config.json`."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from compiler.emit.onnx import genai
from compiler.emit.onnx.model import build, held_weights, save, save_part
from compiler.emit.onnx.once import move
from compiler.emit.onnx.prune import prune
from compiler.emit.onnx.sheet import Sheet
from compiler.emit.onnx.stacks import DECODER_FILE, ENCODER_FILE, divide
from compiler.emit.onnx.steps import SEVERAL, name_outputs, no_step
from compiler.emit.onnx.target import Target, target
from compiler.emit.onnx.walk import write_program
from compiler.ir.program import Program


@dataclass(frozen=True)
class Emission:
    """files: what was written. operators: ONNX node types with counts. notes: fused operators not used, and why.

    stepping: the graph takes `past_key_values.<n>.key`/`.value` and gives `present.<n>.key`/`.value`; with several
    stacks that of `decoder.onnx` does, beside what `encoder.onnx` gives (see `compiler.emit.onnx.stacks`). Else
    `no_step` says why it computes the whole sequence each time.
    """

    files: tuple[Path, ...]
    operators: dict[str, int]
    notes: tuple[str, ...]
    stepping: bool
    no_step: str | None


def emit(
    program: Program,
    tensors: Mapping[str, Any] | None,
    folder: Path,
    *,
    runtime: str = "ort",
    dtype: str = "fp32",
    device: str = "cpu",
    tokens: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Emission:
    """Write the package's ONNX files into `folder`, which exists.

    tensors: full parameter path -> torch tensor or numpy array, any float type; each is asked for when it is written.
    tokens: `bos_token_id`, `pad_token_id`, and `eos_token_id` as a list, for genai_config.json.
    InputError: no tensors, a target that nothing runs, an operator that has no ONNX form, a tensor that does not fit.
    """
    where = target(runtime, device, dtype, program.name)
    if tensors is None:
        raise InputError("an ONNX package holds its weights: give --weights or --init", source=program.name)
    sheet, reason = sketch(program, where)
    config = genai.configuration(sheet, where, tokens or {}) if runtime == "genai" else None
    files = save(build(sheet, tensors, dtype), folder, progress)
    if config is not None:
        files.append(genai.write(config, folder))
    parts, why = apart(program, where) if reason == SEVERAL else ({}, reason)
    held = held_weights(folder, sheet) if parts else {}
    for name, part in parts.items():
        files.append(save_part(build(part, tensors, dtype, held), folder / name))
    if device == "cuda":
        sheet.notes.setdefault("kernels for CUDA are chosen from the runtime's registry; no test of this ran on a GPU")
    operators = dict(sorted(Counter(line.op for line in sheet.lines).items()))
    return Emission(tuple(files), operators, tuple(sheet.notes), why is None, why)


def sketch(program: Program, where: Target) -> tuple[Sheet, str | None]:
    """The whole graph without a single weight, and why it cannot step (None: it does)."""
    reason = no_step(program)
    if where.runtime == "genai" and reason is not None:
        raise InputError(f"--runtime genai needs a model that generates step by step: {reason}", source=program.name)
    return _filled(program, where, stepping=reason is None), reason


def apart(program: Program, where: Target) -> tuple[dict[str, Sheet], str | None]:
    """The sheets of `encoder.onnx` and `decoder.onnx`, or none of them and why the output stack cannot step."""
    parts = divide(program)
    if parts is None or (reason := no_step(parts.decode)):
        return {}, reason if parts else SEVERAL
    encode = _filled(parts.encode, where, stepping=False)
    for name, public in zip(tuple(encode.outputs), parts.encode.main.outputs, strict=True):
        encode.outputs[public] = encode.outputs.pop(name)
    decode = _filled(parts.decode, where, stepping=True)
    move(encode, decode)
    return {ENCODER_FILE: encode, DECODER_FILE: decode}, None


def _filled(program: Program, where: Target, *, stepping: bool) -> Sheet:
    sheet, values = write_program(program, where, stepping=stepping)
    if where.runtime == "genai" and sheet.kept:
        names = ", ".join(dict.fromkeys(kept.name for kept in sheet.kept))
        raise InputError(f"--runtime genai carries keys and values only, not the states {names}", source=program.name)
    name_outputs(sheet, values)
    prune(sheet)
    past = {name for cache in sheet.caches for name in cache.past} | {kept.past for kept in sheet.kept}
    for name in sheet.inputs:
        if name in past or name in sheet.outputs:
            raise InputError(
                f"an ONNX package cannot have an input called {name}: the name is its own", source=program.name
            )
    return sheet
