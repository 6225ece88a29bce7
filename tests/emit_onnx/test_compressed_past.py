"""Compressed memory on ONNX Runtime, a sequence at once; its queues have no inputs, so the graph does not step."""

from pathlib import Path

import pytest
import torch

from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import close, emitted
from tests.emit_torch.packages import ids
from tests.parity.targets import frozen, near
from tests.parity.test_compressed_past import PACKAGE, SIZES, program_of
from tests.zoo.renaming import renamed
from tests.zoo.shrink import DROP, shrunk


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("kind", ["conv", "mean", "max"])
def test_as_the_paper(kind: str, runtime: str, tmp_path: Path) -> None:
    keys = {"type": "compressed_past", "segment": 8, "after": 12, "slots": 3, "rate": 4, "map": kind}
    program, weights = program_of(extra_keys=[keys])
    package, emission = emitted(program, weights, tmp_path, runtime=runtime)
    assert not emission.stepping and "compress_rows" in str(emission.no_step)
    mask = torch.ones(2, 43, dtype=torch.long)
    mask[0, :9] = 0
    for inputs in ({"input_ids": ids(2, 43)}, {"input_ids": ids(2, 43), "attention_mask": mask}):
        inputs["input_ids"] %= 61
        (expected,) = interpret(program, {k: w.double() for k, w in weights.items()}, inputs).values()
        real = inputs.get("attention_mask", torch.ones(2, 43)).bool()
        close(package.forward(inputs)[real], expected[real])


@pytest.mark.parametrize(("name", "layers"), [("gru", 1), ("plain", 2)])
def test_as_the_package(name: str, layers: int, tmp_path: Path) -> None:
    """A table's rows counted from the oldest row in view."""
    given, sizes = frozen(f"compressive_transformer_{name}"), SIZES if name == "gru" else {**SIZES, "residual": DROP}
    program = lower(shrunk("compressive-transformer-gru", {"decoder": [{"repeat": layers, "of": ["main"]}]}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, PACKAGE)
    for runtime in ("ort", "portable"):
        package, _ = emitted(program, weights, tmp_path / runtime, runtime=runtime)
        near(package.forward(given.inputs), given.outputs["logits"])
