"""Attention by hashing on ONNX Runtime, and the directions drawn without torch."""

from pathlib import Path
from typing import Any

import pytest
import torch

from compiler.ops.lsh_attention.directions import directions, normal
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import close, emitted
from tests.emit_onnx.test_recurrent import lowered, weights
from tests.emit_torch.packages import ids, spec

CASES: dict[str, dict[str, Any]] = {
    "one round": {"behind": 2, "rounds": 1},
    "rounds": {"behind": 2, "rounds": 3},
    "ahead": {"behind": 1, "ahead": 1, "rounds": 2},
    "own chunk": {"rounds": 2},
    "more neighbours than chunks": {"behind": 6, "ahead": 3, "rounds": 1},
}


@pytest.mark.parametrize("length", [3, 4, 13, 16])
@pytest.mark.parametrize("name", CASES)
def test_package_means_what_the_spec_means(name: str, length: int, tmp_path: Path) -> None:
    op = {"type": "lsh_attention", "n_heads": 2, "chunk": 4, "buckets": 6, "seed": 3, **CASES[name]}
    program = lowered(spec(blocks={"main": [{"pre_norm": "rms", "op": op}]}))
    drawn = weights(program)
    package, emission = emitted(program, drawn, tmp_path, runtime="portable")
    assert not emission.stepping
    assert emission.no_step == "buckets are sorted over the whole sequence"
    tokens, mask = ids(2, length), torch.ones(2, length, dtype=torch.long)
    mask[0, 1:2], mask[1, -1:] = 0, 0
    for given in ({"input_ids": tokens}, {"input_ids": tokens, "attention_mask": mask}):
        (expected,) = interpret(program, drawn, given).values()
        real = given.get("attention_mask", torch.ones_like(mask)).bool()
        close(package.forward(given)[real], expected[real])


@pytest.mark.parametrize("seed", [0, 7, 2**33 + 5])
@pytest.mark.parametrize("count", [1, 7, 15, 16, 37, 4096])
def test_numbers_are_those_of_torch(count: int, seed: int) -> None:
    theirs = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(torch.as_tensor(normal(count, seed)).float(), theirs, atol=1e-6, rtol=1e-6)


def test_directions_stand_as_torch_draws_them() -> None:
    theirs = torch.randn(3, 5, 2, 4, generator=torch.Generator().manual_seed(9))
    ours = directions(3, 5, {"rounds": 2, "buckets": 8, "seed": 9})
    torch.testing.assert_close(torch.as_tensor(ours), theirs, atol=1e-6, rtol=1e-6)
