"""Positions counted from the ids in steps: a state outside the layers."""

from pathlib import Path

import pytest
import torch

from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import close, emitted
from tests.emit_onnx.models import LAYER, MLP, attention, decoder, draw, ids

PAD = 1


@pytest.mark.parametrize("runtime", ["ort", "portable"])
def test_the_count_goes_on_from_step_to_step(runtime: str, tmp_path: Path) -> None:
    document = decoder(attention(), MLP, LAYER, [{"type": "learned", "size": 66}])
    document["stacks"]["decoder"]["input"]["positions"] = {"type": "count_nonpad", "pad_id": PAD}
    program = lower(resolve(load_spec(document)))
    tokens, mask = torch.as_tensor(ids(2, 11)), torch.ones(2, 11, dtype=torch.long)
    mask[0, :3] = 0
    tokens[mask == 0] = PAD
    tokens[1, 4:6] = PAD  # told by the ids alone: later tokens count on without it
    weights, inputs = draw(program), {"input_ids": tokens, "attention_mask": mask}
    package, emission = emitted(program, weights, tmp_path, runtime=runtime)
    assert emission.stepping, emission.no_step
    kept = {x.name: x.shape for x in package.session.get_inputs() if x.name.startswith("past_state")}
    assert kept == {"past_state.0.count": ["batch"]}
    (want,) = interpret(program, weights, inputs).values()
    real = mask.bool()
    close(package.forward(inputs)[real], want[real])
    for cuts in (tuple(range(1, 11)), (5, 7)):
        close(package.stepped(inputs, cuts)[real], want[real])
