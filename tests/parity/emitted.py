"""A spec's torch package beside the reference interpreter, with the same random weights."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights.init import init_weights
from tests.emit_torch.packages import model_of, stepped


def meant(spec: dict[str, Any], seed: int, **inputs: Tensor) -> Tensor:
    """The main output by the reference meanings in float64, with the weights that `--init SEED` draws."""
    program = lower(resolve(load_spec(spec)))
    shapes = {path: param.shape for path, param in program.parameter_paths().items()}
    params = {path: tensor.double() for path, tensor in init_weights(shapes, seed).items()}
    return next(iter(interpret(program, params, inputs).values()))


@torch.no_grad()
def emitted_gap(spec: dict[str, Any], folder: Path, tokens: Tensor, **inputs: Tensor) -> float:
    """Largest difference of the package's logits, all at once and in steps where it can step, from the meaning."""
    model = model_of(spec, folder)
    expected = meant(spec, 1, input_ids=tokens, **inputs)
    gap = float((model(tokens, **inputs) - expected).abs().max())
    if getattr(model, "refusal", None) is None:
        gap = max(gap, float((stepped(model, tokens, (3, 1, 1, 4)) - expected).abs().max()))
    return gap
