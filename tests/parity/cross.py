"""For models of several inputs: every parameter copied, and both targets beside the reference, in steps."""

from pathlib import Path

import torch
from torch import Tensor

from compiler.ir.program import Program
from tests.emit_onnx.exact import emitted as onnx_package
from tests.emit_torch.exact import emitted as torch_model
from tests.emit_torch.steps import in_steps
from tests.parity.targets import SIZES, meaning, near
from tests.zoo import renaming as r


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fitted(program: Program, stored: r.Stored, table: r.Table) -> dict[str, Tensor]:
    """Every parameter from the reference's."""
    return r.renamed(program.parameter_paths(), stored, table)


@torch.no_grad()
def everywhere(
    program: Program,
    weights: dict[str, Tensor],
    inputs: dict[str, Tensor],
    expected: Tensor,
    folder: Path,
    steps: bool,
    valid: Tensor | None = None,
) -> None:
    """The reference meaning, the torch package (in steps where it has them) and the ONNX packages give `expected`."""
    near(meaning(program, weights, inputs), expected, valid)
    model = torch_model(program, weights, folder / "torch")
    near(model(**inputs), expected, valid)
    assert hasattr(type(model), "caches") == steps
    for sizes in SIZES if steps else ():
        near(in_steps(model, program, inputs, sizes), expected, valid)
    for runtime in ("ort", "portable"):
        package, emission = onnx_package(program, weights, folder / runtime, runtime=runtime)
        near(package.forward(inputs), expected, valid)
        assert emission.stepping == steps, emission.no_step
        for ends in ((1, 2, 3, 7), (5, 6)) if steps else ():
            near(package.stepped(inputs, ends), expected, valid)
