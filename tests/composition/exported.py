"""A drawn spec as an ONNX package on ONNX Runtime, against the reference meaning: in one run, and in steps where it has
state."""

from pathlib import Path

import torch

from archspec.errors import InputError
from compiler import pipeline
from compiler.emit.onnx import emit
from compiler.verify.compare import difference, real_positions
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from compiler.verify.run_onnx import OnnxPackage
from tests.composition.check import Drawn, first_step

TOLERANCE = 1e-4  # of the size of each value, at least 1: the package computes in float32
ILL = "float32 itself is off"
NOT_JUDGED = ("the ONNX target cannot", ILL)


def wrong(drawn: Drawn, folder: Path) -> str | None:
    """None where the package means what the graph means; else how far it is off, or why it was refused."""
    program, _ = pipeline.run(drawn.program)
    params = {path: tensor.float() for path, tensor in drawn.params.items()}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        emit(program, pack(program, params), folder)
    except InputError as error:
        return error.message
    (want,) = interpret(drawn.program, {path: t.double() for path, t in params.items()}, drawn.inputs).values()
    keep = real_positions(drawn.program, drawn.inputs)
    if (noise := difference(_narrow(drawn, params), want, keep).relative) > TOLERANCE / 10:
        return f"{ILL} by {noise:.2g}"
    try:
        package = OnnxPackage(folder)
        if (gap := difference(package.forward(drawn.inputs), want, keep).relative) > TOLERANCE:
            return f"the package is off by {gap:.2g}"
        if package.steps(drawn.inputs):
            for ends in ((1, 2, 3, 4, 5, 6), (3, 4, 6)):
                cuts = tuple(end for end in ends if end >= first_step(drawn.inputs))
                if (gap := difference(package.stepped(drawn.inputs, cuts), want, keep).relative) > TOLERANCE:
                    return f"steps at {cuts} are off by {gap:.2g}"
    except Exception as error:  # whatever the runtime raises: it does not run
        return f"the package does not run: {type(error).__name__}: {error}"
    return None


def _narrow(drawn: Drawn, params: dict[str, torch.Tensor]) -> torch.Tensor:
    """The reference meaning in float32: what is lost there no package can keep."""
    inputs = {name: x.float() if x.is_floating_point() else x for name, x in drawn.inputs.items()}
    (made,) = interpret(drawn.program, params, inputs).values()
    return made
