"""Emitted ONNX packages beside the reference interpreter: whole, padded, and in steps."""

from pathlib import Path

import torch
from torch import Tensor

from compiler.emit.onnx import Emission, emit
from compiler.ir.program import Program
from compiler.pipeline import run as run_passes
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from compiler.verify.run_onnx import OnnxPackage

TOLERANCE = 1e-4  # float32 against float64; the values are of order 1


def emitted(
    program: Program,
    weights: dict[str, Tensor],
    folder: Path,
    passes: tuple[str, ...] | None = None,
    runtime: str = "ort",
) -> tuple[OnnxPackage, Emission]:
    """The package that the ONNX target writes for `program`, with these weights of the unrewritten program."""
    after, _ = run_passes(program, passes)
    folder.mkdir(parents=True, exist_ok=True)
    emission = emit(after, pack(after, weights), folder, runtime=runtime)
    return OnnxPackage(folder), emission


def check(
    program: Program,
    weights: dict[str, Tensor],
    tokens: Tensor,
    folder: Path,
    passes: tuple[str, ...] | None = None,
    runtime: str = "ort",
    cuts: tuple[tuple[int, ...], ...] = ((1, 2, 3, 4, 11), (9, 10)),
) -> Emission:
    """The package means what `program` means: all tokens at once, with padding on the left, and in steps."""
    package, emission = emitted(program, weights, folder, passes, runtime)
    mask = torch.ones_like(tokens)
    mask[0, :3] = 0
    real = mask.bool()
    (whole,) = interpret(program, weights, {"input_ids": tokens}).values()
    (padded,) = interpret(program, weights, {"input_ids": tokens, "attention_mask": mask}).values()
    assert whole.abs().max() > 0.1
    close(package.forward({"input_ids": tokens}), whole)
    close(package.forward({"input_ids": tokens, "attention_mask": mask})[real], padded[real])
    if emission.stepping:
        inputs = {"input_ids": tokens, "attention_mask": mask}
        for ends in cuts:
            close(package.stepped(inputs, ends)[real], padded[real])
    return emission


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=TOLERANCE)
