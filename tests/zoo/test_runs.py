"""Every spec of the zoo runs in both targets: made small, it computes what the reference meaning says, with and without
padding, and steps where it says that it steps.

Specs that become the same when they are made small are run once.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from archspec import zoo
from archspec.api import compile
from archspec.spec import spec_hash
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.masks.facts import PREFIX
from compiler.verify.compare import real_positions
from compiler.verify.folder import open_folder
from compiler.verify.interpreter import interpret
from compiler.verify.package import verify
from tests.emit_onnx import exact as onnx
from tests.emit_torch import exact
from tests.emit_torch.steps import in_steps
from tests.zoo.tiny import document, inputs, tiny

TOLERANCE = 1e-9  # float64 against float64
CHUNKS = ((1,), (5, 1, 6))


def structure(name: str) -> str:
    """What specs that become the same share."""
    return spec_hash(tiny(name))


@cache
def distinct() -> list[str]:
    """One name for each structure."""
    return sorted({structure(name): name for name in reversed(zoo.names())}.values())


@cache
def made(name: str) -> tuple[Program, dict[str, Tensor]]:
    program = lower(tiny(name))
    weights = exact.drawn(program)
    for weight in weights.values():  # widths differ: rows of a matrix are of length 1, so that values stay small
        if weight.dim() > 1:
            weight.div_(0.3 * weight.shape[-1] ** 0.5)
    return program, weights


def told(program: Program, weights: dict[str, Tensor], padded: bool) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Inputs, the output by the reference meaning, and which of its rows are real."""
    given = inputs(program, padded=padded)
    output = next(iter(interpret(program, weights, given).values()))
    assert output.isfinite().all() and output.abs().max() > 0.1
    rows, keep = output.shape[:2], real_positions(program, given)
    if keep is None or output.dim() < 3 or keep.shape[1] > rows[1]:
        return given, output, torch.ones(output.shape[:-1], dtype=torch.bool)
    joined = torch.ones(rows[0], rows[1] - keep.shape[1], dtype=torch.bool)  # rows of an input before the tokens
    return given, output, torch.cat([joined, keep], 1)


def close(found: Tensor, wanted: Tensor, keep: Tensor, tolerance: float) -> None:
    """tolerance: of a value, and of what the values are large in the mean where that is more than 1."""
    assert found.shape == wanted.shape
    size = max(1.0, float(wanted[keep].pow(2).mean().sqrt()))
    torch.testing.assert_close(found.double()[keep], wanted[keep], atol=tolerance * size, rtol=tolerance)


@pytest.mark.parametrize("name", distinct())
def test_torch(name: str, tmp_path: Path) -> None:
    program, weights = made(name)
    model = exact.emitted(program, weights, tmp_path)
    for padded in (False, True):
        given, wanted, keep = told(program, weights, padded)
        close(model(**given), wanted, keep, TOLERANCE)
        if hasattr(type(model), "caches"):
            for sizes in CHUNKS if PREFIX not in given else CHUNKS[1:]:  # a prefix is of one piece
                close(in_steps(model, program, given, sizes), wanted, keep, TOLERANCE)
    if not hasattr(type(model), "caches"):
        with pytest.raises(RuntimeError, match="cannot run step by step: "):
            model.new_state(1, 4)
    assert model.demonstrate()


@pytest.mark.parametrize("name", distinct())
def test_onnx(name: str, tmp_path: Path) -> None:
    program, weights = made(name)
    package, emission = onnx.emitted(program, weights, tmp_path)
    for padded in (False, True):
        given, wanted, keep = told(program, weights, padded)
        given = {name: x.float() if x.is_floating_point() else x for name, x in given.items()}
        close(package.forward(given), wanted, keep, onnx.TOLERANCE)
        if emission.stepping and package.steps(given):
            for cuts in ((5, 6), (1, 2, 3, 7))[: 1 if PREFIX in given else 2]:
                close(package.stepped(given, cuts), wanted, keep, onnx.TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["torch", "onnx"])
@pytest.mark.parametrize("name", distinct())
def test_packages_verify(name: str, target: str, tmp_path: Path) -> None:
    """What `archspec compile --init` writes passes `archspec verify`."""
    compile(document(name), tmp_path / "p", init=1, dtype="fp32", target=target)
    assert not verify(open_folder(tmp_path / "p")).failed
