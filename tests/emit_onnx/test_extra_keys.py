"""Keys besides those of the sequence on ONNX Runtime, against the reference interpreter; sinks against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import check, close, emitted
from tests.emit_onnx.models import encoder_decoder
from tests.emit_onnx.test_recurrent import lowered, weights
from tests.emit_torch.packages import ids, spec
from tests.parity.test_extra_keys import BUCKETS, FORMS

LEARNED = {"type": "learned", "count": 3}
MORE: dict[str, dict[str, Any]] = {
    **FORMS,
    "learned, sink, bias and cap": {"extra_keys": [LEARNED, "sink"], "position": [BUCKETS], "softcap": 2},
    "learned before the scale": {"extra_keys": [LEARNED], "position": [{**BUCKETS, "at": "before_scale"}]},
}


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("form", MORE)
def test_extra_keys(form: str, runtime: str, tmp_path: Path) -> None:
    program = lowered(spec(attention=MORE[form]))
    emission = check(program, weights(program), ids(2, 17), tmp_path, None, runtime)
    assert emission.stepping


@pytest.mark.parametrize(
    "fields", [{}, {"mask": {"type": "window", "behind": 4}}, {"softcap": 2}, {"position": [{"type": "rope"}]}], ids=str
)
def test_fused_beside_a_sink(fields: dict[str, Any], tmp_path: Path) -> None:
    program = lowered(spec(attention={"extra_keys": ["sink"], "d_head": 16, "position": [], **fields}))
    emission = check(program, weights(program), ids(2, 17), tmp_path)
    assert emission.operators["GroupQueryAttention"] == 2


def test_memory_given_at_run_time(tmp_path: Path) -> None:
    """Keys and values of a memory are inputs of the graph; a cached past and they take part in one softmax."""
    memory = {"type": "external", "name": "memory", "position": "zero"}
    program = lowered(spec(attention={"n_kv_heads": 4, "extra_keys": [memory, "sink"]}))
    given, generator = weights(program), torch.Generator().manual_seed(0)
    inputs = {"input_ids": ids(1, 13)} | {
        f"memory_{role}": torch.randn(1, 4, 11, 4, generator=generator) for role in ("keys", "values")
    }
    package, _ = emitted(program, given, tmp_path)
    (expected,) = interpret(
        program, given, {n: x.double() if n != "input_ids" else x for n, x in inputs.items()}
    ).values()
    close(package.forward(inputs), expected)
    (without,) = interpret(
        program, given, {n: x.double() * 0 if n != "input_ids" else x for n, x in inputs.items()}
    ).values()
    assert float((without - expected).abs().max()) > 1e-2


def test_another_stack_beside_the_own_past(tmp_path: Path) -> None:
    """Rows of a source and the target's past in one softmax, its padding is hidden."""
    document = encoder_decoder()
    target = document["stacks"]["decoder"]["blocks"]["main"]
    del target[1]
    op = target[0]["op"]
    op |= {"position": [], "extra_keys": [{"type": "stream", "name": "encoder", "norm": "rms"}, "sink"]}
    program = lowered(document)
    given, mask = weights(program), torch.ones(2, 11, dtype=torch.long)
    mask[0, -4:] = 0
    inputs = {"input_ids": ids(2, 11), "attention_mask": mask, "decoder_input_ids": ids(2, 7, seed=1)}
    (expected,) = interpret(program, given, inputs).values()
    for runtime in ("ort", "portable"):
        package, _ = emitted(program, given, tmp_path / runtime, runtime=runtime)
        close(package.forward(inputs), expected)
    (seen,) = interpret(program, given, {**inputs, "attention_mask": torch.ones_like(mask)}).values()
    assert float((seen - expected)[0].abs().max()) > 1e-2
