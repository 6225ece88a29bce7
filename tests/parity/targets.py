"""One reference output, and everything that must equal it: the reference meaning, both targets' packages, their steps.

A fixture of `tests/parity/frozen` holds a reference's weights, inputs and outputs; `make_<package>.py` there made it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from archspec.spec.tree import Precision
from compiler.cost.formats import Storage
from compiler.cost.sites import environment, sites
from compiler.cost.state import count
from compiler.ir.program import Program
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import emitted as onnx_package
from tests.emit_torch.exact import cuts
from tests.emit_torch.exact import emitted as torch_model

FROZEN = Path(__file__).parent / "frozen"
TOLERANCE = 1e-4  # float32 beside float32
SIZES = ((1,), (5, 1, 7, 2))  # of steps, again and again

torch.set_num_threads(1)


@dataclass(frozen=True)
class Frozen:
    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def frozen(name: str) -> Frozen:
    stored = load_file(FROZEN / f"{name}.safetensors")
    kinds = ("weight", "input", "output")
    return Frozen(*({n.partition(".")[2]: x for n, x in stored.items() if n.startswith(f"{k}.")} for k in kinds))


def meaning(program: Program, weights: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
    """The reference meaning in float64; every parameter must be given, in its shape."""
    declared = {path: tuple(param.shape) for path, param in program.parameter_paths().items()}
    assert {path: tuple(weight.shape) for path, weight in weights.items()} == declared
    wide = {n: x.double() if x.is_floating_point() else x for n, x in inputs.items()}
    return next(iter(interpret(program, {p: w.double() for p, w in weights.items()}, wide).values()))


def all_parameters(program: Program, stored: Mapping[str, Tensor]) -> None:
    """As many numbers as the reference stores, tied ones once: nothing of it is left out."""
    ours = sum(prod(param.shape) for param in program.parameter_paths().values())
    assert ours == sum(x.numel() for x in stored.values())


def near(found: Tensor, expected: Tensor, valid: Tensor | None = None) -> None:
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert float(expected.abs().max()) > 0.1
    found, expected = found.double(), expected.double()
    if valid is not None:
        found, expected = found[valid], expected[valid]
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=TOLERANCE)


@torch.no_grad()
def everywhere(
    program: Program,
    weights: dict[str, Tensor],
    inputs: dict[str, Tensor],
    expected: Tensor,
    folder: Path,
    *,
    steps: bool = True,
    valid: Tensor | None = None,
    runtimes: Iterable[str] = ("ort", "portable"),
) -> None:
    """The reference meaning, the torch package and the ONNX package (one for each runtime) give `expected`: all at
    once and, where it steps, one token at a time and in uneven chunks. inputs: the first one is cut along its axis 1;
    with two stacks those of the decoder are cut.
    """
    near(meaning(program, weights, inputs), expected, valid)
    model = torch_model(program, weights, folder / "torch")
    first, *others = inputs
    near(model(inputs[first], **{name: inputs[name] for name in others}), expected, valid)
    assert hasattr(type(model), "caches") == steps
    if steps:
        exact_state(program, model, inputs)
    for sizes in SIZES if steps else ():
        near(stepped(model, inputs, sizes), expected, valid)
    for runtime in runtimes:
        package, emission = onnx_package(program, weights, folder / runtime, runtime=runtime)
        near(package.forward(inputs), expected, valid)
        assert emission.stepping == steps, emission.no_step
        for sizes in SIZES if emission.stepping else ():
            ends = tuple(part.stop for part in cuts(expected.shape[1], sizes))[:-1]
            near(package.stepped(inputs, ends), expected, valid)


def exact_state(program: Program, model: Any, inputs: Mapping[str, Tensor]) -> None:
    """What the cost model says a state holds is what the package's state holds, to the byte."""
    state, cut = fresh(model, inputs)
    batch, length = next(iter(cut.values())).shape[:2]
    source = next((x.shape[1] for x in inputs.values() if x.dim() > 1), length)
    held = sum(x.numel() * x.element_size() for kept in (state.caches, state.held) for layer in kept for x in layer)
    storage = Storage(Precision(weights="fp32", activations="fp32", cache="fp32"))
    counted = count(sites(program), environment(program, batch, length, length, source), storage, True)
    assert held == counted.at_context * batch, (held, counted)


def fresh(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """An empty state, its sources encoded, and the inputs that its steps take, of which the first are the rows."""
    sources = {name: x for name, x in inputs.items() if hasattr(model, "encode") and "decoder" not in name}
    cut = {name.removeprefix("decoder_"): x for name, x in inputs.items() if name not in sources}
    batch, length = next(iter(cut.values())).shape[:2]
    return model.new_state(batch, length, *([model.encode(**sources)] if sources else [])), cut


def stepped(model: Any, inputs: Mapping[str, Tensor], sizes: Iterable[int]) -> Tensor:
    """The torch package's output, put together from steps of these sizes."""
    state, cut = fresh(model, inputs)
    first, *others = cut
    tokens, out = cut[first], []
    for part in cuts(tokens.shape[1], sizes):
        y, state = model.step(tokens[:, part], state, **{name: cut[name][:, part] for name in others})
        out.append(y)
    return torch.cat(out, 1)
