"""Is a package what it says? Its outputs against the reference meaning of the unrewritten graph, part by part.

Passes are judged in float64: 1e-9 relative to each value (at least 1). The model is judged position by position: the
largest difference as a share of the root mean square of the reference output there (at least 1), over unpadded
positions. Measured on a trained decoder of 30 layers with outputs of size 15: the reference meaning itself differs by
2e-5 between float32 and float64, 3e-4 in absolute terms, so 1e-4 of the size is the tolerance, for steps against all
at once too. Weights that are stored must be equal to those made from the original.
"""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from archspec.errors import InputError, NoAnswer
from archspec.interop.source import open_weights_source, open_weights_spec
from archspec.spec import load_spec, resolve, spec_hash
from archspec.spec.compare import differences
from compiler.emit.tensors import HELD_LIMIT, TORCH_TYPES, Recipes, Tensors, drawn, probe_inputs, stored
from compiler.ir.program import Program
from compiler.verify.compare import difference, real_positions
from compiler.verify.folder import Folder
from compiler.verify.interpreter import interpret
from compiler.verify.run_onnx import OnnxPackage
from compiler.verify.run_torch import TorchPackage
from compiler.weights.source import open_weights

PASS_TOLERANCE, TOLERANCE = 1e-9, 1e-4
OWN = "its own weights"
# Arithmetic in a narrower type: 64 roundings. The same decoder showed 0.09 in bfloat16 and 0.017 in float16.
NARROW = {"bf16": 64 * 2**-8, "fp16": 64 * 2**-11}


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
    if weights is not None:
        _same_architecture(folder, weights)
    plain, program = folder.plain(), folder.rewritten()
    checks: list[Check] = []
    notes = [f"{name} changed after it was written" for name in folder.changed]
    with tempfile.TemporaryDirectory() as scratch:
        tensors, home, source = _tensors(folder, weights, plain, program, Path(scratch))
        found, where = _passes(folder, tensors, source)
        checks += found
        notes += [where] if found else []
        if tensors is not None and weights is not None and folder.target == "torch":
            checks.append(_same_weights(folder, tensors, source))
        inputs, want = _reference(folder, weights, plain, tensors)
        if folder.has("genai_config.json"):
            inputs, want = _unpadded(inputs, want)
        name = source if weights is not None or not folder.has("probe.safetensors") else "probe"
        try:
            checks += _model(folder, home, inputs, want, real_positions(plain, inputs), name)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # whatever the package's own code raises: it does not run
            raise NoAnswer(f"{folder.path} does not run: {type(error).__name__}: {error}") from error
        if reason := folder.report.get("no_step"):
            notes.append(f"no steps: {reason}")
    return Verification(tuple(checks), tuple(notes))


def _same_architecture(folder: Folder, weights: str) -> None:
    """InputError where the original says of itself that it is another architecture: its tensors might still fit."""
    found = open_weights_spec(weights)
    if found is None:
        return
    own, other = resolve(load_spec(folder.path / "spec.json")), resolve(found)
    if spec_hash(own) == spec_hash(other):
        return
    told = [d for d in differences(own, other) if d.path not in ("max_length", "precision")]
    shown = "; ".join(
        f"{d.path} is {json.dumps(d.first)} in the package and {json.dumps(d.second)} there" for d in told[:3]
    )
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    raise InputError(f"another architecture than that of {folder.path}: {shown}{more}", source=f"--weights {weights}")


def _model(
    folder: Folder, home: Path, inputs: Mapping[str, Tensor], want: Tensor, keep: Tensor | None, name: str
) -> Iterator[Check]:
    """The package run: all tokens at once, step by step, and in its own type where that is narrow."""
    package = OnnxPackage(folder.path) if folder.target == "onnx" else TorchPackage(folder.path, home)
    full = package.forward(inputs)
    # ONNX runs in its own type only; PyTorch casts the stored weights to float32.
    limit, ran = (NARROW[folder.dtype], folder.dtype) if _only_narrow(folder) else (TOLERANCE, "fp32")
    yield _judged(f"model in {ran}", name, full, want, keep, limit)
    if package.steps(inputs):
        length = next(iter(inputs.values())).shape[1]
        cuts = sorted({length // 2, length - 2, length - 1} - {0, -1})
        yield _judged("steps with state", "all at once", package.stepped(inputs, tuple(cuts)), full, keep, limit)
    if isinstance(package, TorchPackage) and folder.dtype in NARROW:
        out = package.forward(inputs, TORCH_TYPES[folder.dtype])
        yield _judged(f"model in {folder.dtype}", name, out, want, keep, NARROW[folder.dtype])


def _only_narrow(folder: Folder) -> bool:
    return folder.target == "onnx" and folder.dtype in NARROW


def _tensors(
    folder: Folder, weights: str | None, plain: Program, program: Program, scratch: Path
) -> tuple[Tensors | None, Path, str]:
    """Tensors of the reference (None: only the probe is there), the folder that the model loads, and their name."""
    has_own = any(folder.path.glob("weights.safetensors*"))
    if weights is not None:
        path, tensor_map = open_weights_source(weights)
        return stored(plain, program, path, tensor_map, folder.dtype), folder.path, path.name
    if has_own:
        return stored(plain, program, folder.path, None, folder.dtype), folder.path, OWN
    if folder.target == "onnx":
        return None, folder.path, "probe"
    size = sum(torch.Size(param.shape).numel() for param in plain.parameter_paths().values())
    if size > HELD_LIMIT:
        raise InputError(f"has no weights, and {size:,} random ones are too many to try: give --weights",
                         source=str(folder.path))  # fmt: skip
    random = drawn(plain, program, 0, "fp32")
    random.write(scratch)
    return random, scratch, "random weights"


def _passes(folder: Folder, tensors: Tensors | None, source: str) -> tuple[list[Check], str]:
    """The output after each pass that changed something, and where that was measured.

    On the tensors at hand if those are others than the package's, else as measured when the package was written.
    """
    every = folder.report.get("passes", [])
    records = [r for r in every if r["modified"]]
    if any(r.get("error") is None for r in records) or source not in ("probe", OWN):
        measured = tensors.pass_errors(tuple(r["name"] for r in every)) if tensors is not None else {}
    else:
        measured, source = {r["name"]: r["error"] for r in records}, "when the package was written"
    found = [(r["name"], measured.get(r["name"])) for r in records]
    checks = [Check(f"pass {n}", "the graph before", None, e, PASS_TOLERANCE) for n, e in found if e is not None]
    return checks, f"passes: in float64 on one layer of each kind, {source}"


def _same_weights(folder: Folder, tensors: Tensors, source: str) -> Check:
    """Stored tensors against those made from the original."""
    worst, own = 0.0, open_weights(folder.path)
    shapes = own.shapes()
    for path in tensors:
        made = tensors[path]
        same = shapes.get(path) == tuple(made.shape)
        worst = max(worst, difference(own.read(path), made).absolute if same else math.inf)
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
    name: str, against: str, got: Tensor, want: Tensor, keep: Tensor | None, tolerance: float = TOLERANCE
) -> Check:
    size = want.double().pow(2).mean(-1, keepdim=True).sqrt().clamp(min=1)
    share = (
        difference(got.double() / size, want.double() / size, keep).absolute if got.shape == want.shape else math.inf
    )
    return Check(name, against, difference(got, want, keep).absolute, share, tolerance)
