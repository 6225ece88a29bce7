"""Weights for specs that are compared with formulas written out, where no reference has any to copy."""

from torch import Tensor

from compiler.ir.program import Program
from tests.parity.frozen.drawing import drawn


def weights_of(program: Program) -> dict[str, Tensor]:
    """Every parameter drawn by its path: gains are not one, biases and learned queries not zero."""
    weights = {}
    for path, param in program.parameter_paths().items():
        noise = drawn(path, *param.shape)
        inner = param.shape[-1] if len(param.shape) > 1 else 9
        weights[path] = 1 + 0.1 * noise if path.endswith("norm.weight") else noise / inner**0.5
    return weights
