"""Is a package what it says? Its outputs against the reference meaning of the unrewritten graph, part by part.

Every number is a difference from the reference divided by the size of the reference value (at least 1), over unpadded
positions. Tolerances: 1e-9 for passes in float64; 1e-4 for the package in float32 and for its steps (noise of float32
kernels is 3.5e-5, 1e-3 would hide real errors); for arithmetic in a narrower type see NARROW; weights must be equal.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from archspec.errors import InputError
from archspec.interop.source import open_weights_source
from compiler.emit.tensors import HELD_LIMIT, TORCH_TYPES, Recipes, Tensors, drawn, probe_inputs, stored
from compiler.ir.program import Program
from compiler.verify.compare import difference, real_positions
from compiler.verify.folder import Folder
from compiler.verify.interpreter import interpret
from compiler.verify.run_onnx import OnnxPackage
from compiler.verify.run_torch import TorchPackage
from compiler.weights.source import open_weights

PASS_TOLERANCE, TOLERANCE = 1e-9, 1e-4
# Share of the largest reference value. 2^-8 and 2^-11 are the rounding errors of one operation; a sum over tens of
# layers was seen to reach about eight of them.
NARROW = {"bf16": 16 * 2**-8, "fp16": 16 * 2**-11}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing compared. `tolerance` bounds `relative`; None means told, not judged."""

    name: str
    against: str
    absolute: float | None
    relative: float
    tolerance: float | None

    @property
    def passed(self) -> bool:
        return self.tolerance is None or self.relative <= self.tolerance


@dataclass(frozen=True, slots=True)
class Verification:
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


def verify(folder: Folder, weights: str | None = None) -> Verification:
    """All checks that the package allows. weights: the original checkpoint, as for `archspec compile --weights`."""
    plain, program = folder.plain(), folder.rewritten()
    checks: list[Check] = []
    notes = [f"{name} changed after it was written" for name in folder.changed]
    with tempfile.TemporaryDirectory() as scratch:
        tensors, home, source = _tensors(folder, weights, plain, program, Path(scratch))
        checks += _passes(folder, tensors, source)
        if weights is not None:
            checks.append(_same_weights(folder, tensors, source))
        inputs, want = _reference(folder, weights, plain, tensors)
        if folder.has("genai_config.json"):
            inputs, want = _unpadded(inputs, want)
        keep = real_positions(plain, inputs)
        name = source if weights is not None or not folder.has("probe.safetensors") else "probe"
        package = OnnxPackage(folder.path) if folder.target == "onnx" else TorchPackage(folder.path, home)
        full = package.forward(inputs)
        narrow = NARROW.get(folder.dtype) if folder.target == "onnx" else None  # it runs in its own type only
        what = f"model in {folder.dtype if narrow else 'fp32'}"
        checks.append(_judged(what, name, full, want, keep, narrow))
        if package.steps(inputs):
            length = inputs["input_ids"].shape[1]
            cuts = sorted({length // 2, length - 2, length - 1} - {0, -1})
            stepped = package.stepped(inputs, tuple(cuts))
            checks.append(_judged("steps with state", "all at once", stepped, full, keep, narrow))
        elif reason := folder.report.get("no_step"):
            notes.append(f"no steps: {reason}")
        if isinstance(package, TorchPackage) and folder.dtype in NARROW:
            out = package.forward(inputs, TORCH_TYPES[folder.dtype])
            checks.append(_judged(f"model in {folder.dtype}", name, out, want, keep, NARROW[folder.dtype]))
    return Verification(tuple(checks), tuple(notes))


def _tensors(
    folder: Folder, weights: str | None, plain: Program, program: Program, scratch: Path
) -> tuple[Tensors | None, Path, str]:
    """Tensors of the reference (None: only the probe is there), the folder that the model loads, and their name."""
    has_own = any(folder.path.glob("weights.safetensors*"))
    if weights is not None:
        path, tensor_map = open_weights_source(weights)
        return stored(plain, program, path, tensor_map, folder.dtype), folder.path, path.name
    if has_own:
        return stored(plain, program, folder.path, None, folder.dtype), folder.path, "its own weights"
    if folder.target == "onnx":
        return None, folder.path, "probe"
    size = sum(torch.Size(param.shape).numel() for param in plain.parameter_paths().values())
    if size > HELD_LIMIT:
        raise InputError(f"has no weights, and {size:,} random ones are too many to try: give --weights",
                         source=str(folder.path))  # fmt: skip
    random = drawn(plain, program, 0, "fp32")
    random.write(scratch)
    return random, scratch, "random weights"


def _passes(folder: Folder, tensors: Tensors | None, source: str) -> list[Check]:
    """What each pass changed: measured on the tensors at hand, else as measured when the package was written."""
    records = [r for r in folder.report.get("passes", []) if r["modified"]]
    if any(r.get("error") is None for r in records) or source not in ("probe", "its own weights"):
        names = tuple(r["name"] for r in folder.report.get("passes", []))
        errors: Mapping[str, float | None] = {} if tensors is None else tensors.pass_errors(names)
        source = f"{source}, one layer of each kind"
    else:
        errors, source = {r["name"]: r["error"] for r in records}, "when compiled, one layer of each kind"
    found = [(r["name"], errors.get(r["name"])) for r in records]
    return [Check(f"passes up to {n}", source, None, e, PASS_TOLERANCE) for n, e in found if e is not None]


def _same_weights(folder: Folder, tensors: Tensors | None, source: str) -> Check:
    """Stored tensors against those made from the original."""
    worst = 0.0
    if tensors is not None and any(folder.path.glob("weights.safetensors*")):
        own = open_weights(folder.path)
        shapes = own.shapes()
        for path in tensors:
            made = tensors[path]
            same = shapes.get(path) == tuple(made.shape)
            worst = max(worst, difference(own.read(path), made).absolute if same else float("inf"))
    return Check("stored weights", source, worst, worst, 0.0)


def _reference(
    folder: Folder, weights: str | None, plain: Program, tensors: Tensors | None
) -> tuple[dict[str, Tensor], Tensor]:
    """Inputs, and what the unrewritten program gives for them."""
    if weights is None and folder.has("probe.safetensors"):
        try:
            inputs = load_file(folder.path / "probe.safetensors")
            return inputs, inputs.pop("output")
        except (SafetensorError, KeyError, OSError):
            raise InputError("is no probe", source=str(folder.path / "probe.safetensors")) from None
    if tensors is None:
        raise InputError("has neither a probe nor weights to compare with: give --weights", source=str(folder.path))
    inputs = probe_inputs(plain)
    params = Recipes(tensors.original, tensors.source, TORCH_TYPES[folder.dtype], torch.float64)
    held: Mapping[str, Any] = dict(params) if sum(p.numel() for p in params.values()) <= HELD_LIMIT else params
    (output,) = interpret(plain, held, inputs).values()
    return inputs, output


def _unpadded(inputs: dict[str, Tensor], want: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The rows without padding: genai's graphs know padding on the right only, the probe has it on the left."""
    mask = inputs.get("attention_mask")
    if mask is None:
        return inputs, want
    rows = mask.bool().all(1)
    return {name: x[rows] for name, x in inputs.items()}, want[rows]


def _judged(
    name: str, against: str, got: Tensor, want: Tensor, keep: Tensor | None, narrow: float | None = None
) -> Check:
    """narrow: the tolerance of a narrow type, as a share of the largest reference value."""
    error = difference(got, want, keep)
    if narrow is None:
        return Check(name, against, error.absolute, error.relative, TOLERANCE)
    largest = max(1.0, want.abs().max().item())
    return Check(name, against, error.absolute, error.absolute / largest, narrow)
