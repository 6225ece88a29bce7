"""Linear attention, state spaces and RWKV on ONNX Runtime against the reference interpreter."""

import random
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler.emit.onnx import emit
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_onnx.exact import check, emitted
from tests.emit_torch.exact import drawn
from tests.emit_torch.packages import ids, spec
from tests.emit_torch.test_recurrent import GATED, MIXERS, OTHERS, SMALL, TWO, linear
from tests.zoo.shrink import shrunk
from tests.zoo.test_meaning import CASES, small

RUNTIMES = pytest.mark.parametrize("runtime", ["ort", "portable"])
ZOO = [
    "mamba-130m", "falcon-mamba-7b", "mamba2-130m", "mamba-codestral-7b", "jamba-v0.1", "rwkv-4-169m", "minimax-text-01"
]  # fmt: skip
WHOLE = {
    "all at once": "every query reads all keys",
    "all at once, no sum": "every query reads all keys",
    "random features": "its key stabiliser is a maximum over the whole sequence",
}


def lowered(document: dict[str, Any]) -> Program:
    return lower(resolve(load_spec(document)))


def weights(program: Program) -> dict[str, torch.Tensor]:
    """Those of the torch target's tests, matrices smaller, so that float32 stays near float64."""
    return {path: x if x.dim() == 1 else x / 1.5 for path, x in drawn(program).items()}


@RUNTIMES
@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
@pytest.mark.parametrize("name", ZOO)
def test_models(name: str, passes: Any, runtime: str, tmp_path: Path) -> None:
    program = small(CASES[name], name)
    assert check(program, weights(program), ids(2, 17), tmp_path, passes, runtime).stepping


@RUNTIMES
@pytest.mark.parametrize("name", ["gla-1.3b", "retnet-1.3b", "retnet-1.3b-torchscale"])
def test_linear_models(name: str, runtime: str, tmp_path: Path) -> None:
    program = lower(shrunk(name, {"decoder": TWO}, SMALL))
    assert check(program, weights(program), ids(2, 17), tmp_path, None, runtime).stepping


@RUNTIMES
@pytest.mark.parametrize("name", MIXERS)
def test_linear_attention(name: str, runtime: str, tmp_path: Path) -> None:
    program = lowered(linear(MIXERS[name]))
    emission = check(program, weights(program), ids(2, 17), tmp_path, None, runtime)
    assert emission.no_step == WHOLE.get(name)
    loop = "LinearAttention" if runtime == "ort" else "Scan"
    assert emission.operators.get(loop, 0) == (0 if name.startswith("all at once") else 2)


@RUNTIMES
@pytest.mark.parametrize("name", OTHERS)
def test_other_scans(name: str, runtime: str, tmp_path: Path) -> None:
    second = {"type": "shifted_mlp", "d_ff": 24} if "wkv" in name else {"type": "mlp", "d_ff": 24, "activation": "gelu"}
    blocks = {"main": [{"pre_norm": "rms", "op": OTHERS[name]}, {"pre_norm": "layer", "op": second}]}
    program = lowered(spec(blocks=blocks))
    check(program, weights(program), ids(2, 17), tmp_path, None, runtime)


@pytest.mark.parametrize("seed", range(6))
def test_random_hybrids(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    mixers = [linear(MIXERS[name])["stacks"]["decoder"]["blocks"]["main"][0]["op"] for name in MIXERS]
    mixers += [*OTHERS.values(), {"type": "attention", "n_heads": 4, "n_kv_heads": 2, "mask": "causal"}]
    second = [GATED, {"type": "shifted_mlp", "d_ff": 24}]
    blocks = {
        f"b{i}": [{"pre_norm": "rms", "op": draw.choice(mixers)}, {"pre_norm": "rms", "op": draw.choice(second)}]
        for i in range(2)
    }
    program = lowered(spec(blocks=blocks, layers=[*blocks, "b0"]))
    check(program, weights(program), ids(2, 17), tmp_path, draw.choice([None, ()]), draw.choice(["ort", "portable"]))


def test_fused_where_the_runtime_has_it(tmp_path: Path) -> None:
    """The portable package holds operators of the standard only; the other says the fused ones."""
    program = small(CASES["mamba2-130m"], "mamba2-130m")
    fused = emitted(program, weights(program), tmp_path / "ort")[1].operators
    assert (fused["LinearAttention"], fused["CausalConvWithState"], "Scan" in fused) == (2, 2, False)
    plain = emitted(program, weights(program), tmp_path / "portable", runtime="portable")[1].operators
    assert plain["Scan"] == 2 and "LinearAttention" not in plain and "CausalConvWithState" not in plain
    model = onnx.load(tmp_path / "portable" / "model.onnx", load_external_data=False)
    assert {node.domain for node in model.graph.node} == {""}
    onnx.checker.check_model(tmp_path / "portable" / "model.onnx", full_check=True)


def test_states_by_name_and_shape(tmp_path: Path) -> None:
    """Inputs and outputs of a step beside the keys and values: their names, shapes, and that they do not grow."""
    program = small(CASES["mamba-130m"], "mamba-130m")
    session = emitted(program, weights(program), tmp_path)[0].session
    given = {x.name: x.shape for x in session.get_inputs() if x.name.startswith("past")}
    assert given == {
        "past_state.0.tail": ["batch", 3, 64], "past_state.1.h": ["batch", 64, 8],
        "past_state.2.tail": ["batch", 3, 64], "past_state.3.h": ["batch", 64, 8],
    }  # fmt: skip
    made = {x.name: x.shape for x in session.get_outputs() if x.name.startswith("present")}
    assert made == {name.replace("past", "present"): shape for name, shape in given.items()}


def test_genai_refuses_states(tmp_path: Path) -> None:
    program = small(CASES["mamba-130m"], "mamba-130m")
    with pytest.raises(InputError, match="keys and values only, not the states tail, h"):
        emit(program, weights(program), tmp_path, runtime="genai")
