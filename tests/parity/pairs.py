"""Models of two stacks in every form; `targets` does the same for those of one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compiler.ir.program import Program
from tests.emit_onnx.exact import emitted as onnx_package
from tests.emit_torch.exact import cuts
from tests.emit_torch.exact import emitted as torch_model
from tests.parity.targets import SIZES, meaning, near


@torch.no_grad()
def both_everywhere(
    program: Program,
    weights: dict[str, Tensor],
    inputs: dict[str, Tensor],
    expected: Tensor,
    folder: Path,
    *,
    steps: bool = True,
    runtimes: Iterable[str] = ("ort", "portable"),
) -> None:
    """The reference meaning, the torch package and the ONNX packages give `expected`, and so do the torch package's
    steps over the target once the source is encoded. inputs: input_ids, decoder_input_ids and masks of either."""
    near(meaning(program, weights, inputs), expected)
    model = torch_model(program, weights, folder / "torch")
    near(model(**inputs), expected)
    assert hasattr(type(model), "caches") == steps
    for sizes in SIZES if steps else ():
        near(stepped(model, inputs, sizes), expected)
    for runtime in runtimes:
        near(onnx_package(program, weights, folder / runtime, runtime=runtime)[0].forward(inputs), expected)


def stepped(model: Any, inputs: dict[str, Tensor], sizes: Iterable[int]) -> Tensor:
    target, mask, out = inputs["decoder_input_ids"], inputs.get("decoder_attention_mask"), []
    state = model.new_state(*target.shape, model.encode(inputs["input_ids"], inputs.get("attention_mask")))
    for part in cuts(target.shape[1], sizes):
        y, state = model.step(target[:, part], state, None if mask is None else mask[:, part])
        out.append(y)
    return torch.cat(out, 1)
