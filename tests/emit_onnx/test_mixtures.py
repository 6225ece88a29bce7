"""Mixtures of experts and latent attention on ONNX Runtime against the reference interpreter."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from compiler.ir.program import Program
from tests.emit_onnx.exact import check, close, emitted
from tests.emit_onnx.test_recurrent import lowered, weights
from tests.emit_torch.packages import ids
from tests.emit_torch.test_mixtures import VARIANTS, WINDOW, latent, mixture
from tests.zoo import renaming as r
from tests.zoo.test_meaning import CASES, model_of, small

RUNTIMES = pytest.mark.parametrize("runtime", ["ort", "portable"])
ZOO = ["mixtral-8x7b", "qwen1.5-moe-a2.7b", "qwen3-30b-a3b", "deepseek-v2", "deepseek-v2-lite", "deepseek-v3"]
# Variants that ONNX Runtime's MoE computes; of the others the report says why not.
FUSED = {"softmax", "one of them", "all of them", "linear experts", "bounded, shifted, biased", "shared"}
FUSED |= {"shared behind a gate", "sigmoid, sum to one", "chosen with a bias"}
FUSED |= {"groups by their best", "groups by their two best"}
WHY = {
    "plain experts": "the activation is relu2",
    "raw scores": "weights may be negative",
    "inputs weighed": "weights multiply inputs",
    "factors inside": "there is a norm inside an expert",
}


@RUNTIMES
@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
@pytest.mark.parametrize("name", ZOO)
def test_models(name: str, passes: Any, runtime: str, tmp_path: Path) -> None:
    program = small(CASES[name], name)
    emission = check(program, weights(program), ids(2, 17), tmp_path, passes, runtime)
    assert emission.stepping
    assert ("MoE" in emission.operators) == (runtime == "ort")


@RUNTIMES
@pytest.mark.parametrize("name", VARIANTS)
def test_routing(name: str, runtime: str, tmp_path: Path) -> None:
    program = lowered(mixture(VARIANTS[name]))
    emission = check(program, weights(program), ids(2, 17), tmp_path, None, runtime)
    fused = runtime == "ort" and name in FUSED
    assert emission.operators.get("MoE", 0) == (2 if fused else 0)
    if name == "bounded, shifted, biased" and fused:  # it routes by itself: nothing idle is left
        assert "TopK" not in emission.operators
    if runtime == "ort" and name in WHY:
        assert any(WHY[name] in note for note in emission.notes)


@RUNTIMES
@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
def test_plain_experts(activation: str, runtime: str, tmp_path: Path) -> None:
    expert = {"type": "mlp", "d_ff": 12, "activation": activation, "bias": ["up", "down"]}
    fields = {"expert": expert, "router": {"top_k": 3, "weights": {"type": "sum_to_one"}, "scale": 2}}
    program = lowered(mixture(fields))
    emission = check(program, weights(program), ids(2, 17), tmp_path, None, runtime)
    assert emission.operators.get("MoE", 0) == (2 if runtime == "ort" and activation != "gelu" else 0)


@RUNTIMES
@pytest.mark.parametrize(
    "fields", [{}, {"mask": WINDOW}, {"q_rank": None, "rank_norm": None}, {"mask": "full"}], ids=str
)
def test_latent_attention(fields: dict[str, Any], runtime: str, tmp_path: Path) -> None:
    program = lowered(latent(fields))
    assert check(program, weights(program), ids(2, 17), tmp_path, None, runtime).stepping == (
        fields.get("mask") != "full"
    )


def test_gates_and_ups_stand_in_turns(tmp_path: Path) -> None:
    """The one stored matrix of an expert: gate and up row by row, each expert's own."""
    program = lowered(mixture({}))
    given = weights(program)
    emitted(program, given, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    stored = {x.name: onnx.numpy_helper.to_array(x) for x in model.graph.initializer}
    both = stored["decoder.1.moe.experts.gate.weight/interleaved"]
    np.testing.assert_allclose(both[:, 0::2], given["decoder.1.moe.experts.gate.weight"], rtol=1e-6)
    np.testing.assert_allclose(both[:, 1::2], given["decoder.1.moe.experts.up.weight"], rtol=1e-6)
    assert not any(name.endswith(("gate.weight", "up.weight")) and "experts" in name for name in stored)


@pytest.mark.parametrize("name", ["mixtral-8x7b", "qwen1.5-moe-a2.7b", "deepseek-v3"])
def test_against_transformers(name: str, tmp_path: Path) -> None:
    case, tokens = CASES[name], ids(2, 17)
    theirs = model_of(case)
    program: Program = small(case, name)
    params = r.renamed(program.parameter_paths(), dict(theirs.state_dict()), case.table)
    package, _ = emitted(program, params, tmp_path)
    with torch.no_grad():
        expected = theirs(input_ids=tokens).logits.double()
    close(package.forward({"input_ids": tokens}), expected)
    close(package.stepped({"input_ids": tokens}, (4, 9, 10, 11)), expected)
