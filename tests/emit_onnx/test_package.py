"""The files: external data, names, targets, and what is refused before anything is written."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import pytest
import torch

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler.emit.onnx import emit, walk
from compiler.emit.onnx.package import sketch
from compiler.emit.onnx.target import Target
from compiler.lower.program import lower
from compiler.pipeline import run
from compiler.verify.interpreter import interpret
from tests.emit_onnx.models import ROPE, attention, call, decoder, draw, export, ids, open_model, program_of, weights_of


def test_weights_lie_outside_and_shape_constants_inside(tmp_path: Path) -> None:
    emission = export("llama", tmp_path, passes=True)
    assert [file.name for file in emission.files] == ["model.onnx", "model.onnx.data"]
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    sizes: dict[str, int] = {}
    for tensor in model.graph.initializer:
        outside = tensor.data_location == onnx.TensorProto.EXTERNAL
        bytes_ = int(np.prod(tensor.dims)) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        assert outside == (bytes_ > 1024), tensor.name
        if outside:
            where = {entry.key: entry.value for entry in tensor.external_data}
            assert where["location"] == "model.onnx.data" and int(where["length"]) == bytes_
            sizes[tensor.name] = bytes_
    assert (tmp_path / "model.onnx").stat().st_size < 64_000
    assert (tmp_path / "model.onnx.data").stat().st_size >= sum(sizes.values())
    assert model.ir_version == 10
    assert "vocab.weight" in sizes and "vocab.weight/transposed" not in sizes  # a tied table is stored once


def test_tensors_are_asked_for_one_at_a_time(tmp_path: Path) -> None:
    """The mapping makes a new tensor each time; at most two are alive while the file is written."""
    program, given = program_of("gpt2"), weights_of("gpt2")
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    class Made(dict[str, Any]):
        def __getitem__(self, path: str) -> Any:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return given[path].float().numpy().copy().view(Counted)

    emit(program, Made(given), tmp_path)
    assert most <= 8, most  # views of one tensor count too; there are 51 tensors
    close = call(open_model(tmp_path), input_ids=ids(1, 4))["logits"]
    assert np.isfinite(close).all()


HOSTILE = ['x"; import os', "../../etc", "a b\n", "日本", "logits2", "past", "%d", "constant"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(name: str, tmp_path: Path) -> None:
    """Names of specs, blocks, stacks and branches end up as strings in the model or are refused as input."""
    spec = decoder(attention(position=ROPE), branch={"name": name}) | {"name": name}
    stack = spec["stacks"].pop("decoder")
    stack["blocks"] = {name: stack["blocks"]["main"]}
    stack["layers"] = [{"repeat": 2, "of": [name]}]
    spec["stacks"] = {name: stack}
    try:
        program = lower(resolve(load_spec(spec)))
    except InputError:
        return  # the language refuses the name
    weights = draw(program)
    emit(program, weights, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    tokens = ids(1, 5)
    (want,) = interpret(program, weights, {"input_ids": torch.as_tensor(tokens)}).values()
    np.testing.assert_allclose(call(open_model(tmp_path), input_ids=tokens)["logits"], want, atol=1e-4, rtol=1e-4)


def test_an_input_may_not_take_a_name_of_the_package(tmp_path: Path) -> None:
    spec = decoder(attention(position=ROPE), parts=[{"type": "token_types", "size": 2, "name": "present.0.key"}])
    try:
        program = lower(resolve(load_spec(spec)))
    except InputError:
        return
    with pytest.raises(InputError, match="cannot have an input called present"):
        emit(program, draw(program), tmp_path)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"dtype": "bf16"}, "no bf16 MatMul"),
        ({"dtype": "fp16"}, "computes in fp32"),
        ({"dtype": "int4"}, "one of fp32, fp16, bf16"),
        ({"runtime": "tensorrt"}, "one of ort, portable, genai"),
        ({"device": "npu"}, "one of cpu, cuda"),
    ],
)
def test_targets_that_nothing_runs_are_refused(fields: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        export("llama", tmp_path, **fields)
    assert not list(tmp_path.iterdir())


def test_a_package_needs_weights_that_fit(tmp_path: Path) -> None:
    program = program_of("llama")
    with pytest.raises(InputError, match="--weights or --init"):
        emit(program, None, tmp_path)
    with pytest.raises(InputError, match="no tensor for the parameter decoder"):
        emit(program, {"vocab.weight": torch.zeros(97, 64)}, tmp_path)
    wrong = {path: torch.zeros(3, 3) for path in program.parameter_paths()}
    with pytest.raises(InputError, match=r"has shape \(3, 3\)"):
        emit(program, wrong, tmp_path)


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3 with qk norms", "softcap, one_plus", "alibi", "bert"])
@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("passes", [False, True], ids=["no passes", "passes"])
def test_half_precision_for_cuda_is_well_typed(name: str, runtime: str, passes: bool, tmp_path: Path) -> None:
    """Never run on a GPU here. The CPU provider takes fp16 graphs by casting, which checks types and shapes."""
    export(name, tmp_path, passes, runtime, dtype="fp16", device="cuda")
    tokens = ids(2, 6)
    session = open_model(tmp_path)
    past = {
        i.name: np.zeros((2, i.shape[1], 0, i.shape[3]), np.float16) for i in session.get_inputs() if "past" in i.name
    }
    got = next(iter(call(session, past, input_ids=tokens).values()))
    inputs = {"input_ids": torch.as_tensor(tokens)}
    (want,) = interpret(program_of(name), weights_of(name), inputs).values()
    assert got.dtype == np.float16
    assert np.abs(got - want.numpy()).max() < 0.05 * np.abs(want.numpy()).max()


def test_cuda_in_fp32_has_no_grouped_query_kernel(tmp_path: Path) -> None:
    emission = export("llama", tmp_path, passes=True, device="cuda")
    assert "GroupQueryAttention" not in emission.operators and emission.operators["Attention"] == 3


def test_bf16_graphs_pass_shape_inference(tmp_path: Path) -> None:
    export("llama", tmp_path, passes=True, runtime="portable", dtype="bf16", device="cuda")
    model = onnx.load(tmp_path / "model.onnx")
    model.ir_version = 11  # what the checker wants for this opset; loaders do not mind
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "encoder and decoder"])
def test_the_reference_evaluator_of_onnx_agrees(name: str, tmp_path: Path) -> None:
    """A second implementation of the standard: what is portable does not lean on ONNX Runtime."""
    from onnx.reference import ReferenceEvaluator

    export(name, tmp_path, passes=True, runtime="portable")
    session = open_model(tmp_path)
    tokens, more = ids(2, 5), {}
    if name == "encoder and decoder":
        more = {"decoder_input_ids": ids(2, 4)}
    want = next(iter(call(session, input_ids=tokens, **more).values()))
    evaluator = ReferenceEvaluator(str(tmp_path / "model.onnx"))
    feed = {"input_ids": tokens, **more}
    for given in session.get_inputs():
        if given.name.startswith("past"):
            feed[given.name] = np.zeros((2, given.shape[1], 0, given.shape[3]), np.float32)
        elif given.name not in feed:
            like = feed[given.name.replace("attention_mask", "input_ids")] if "mask" in given.name else tokens
            feed[given.name] = np.ones_like(like) * ("mask" in given.name)
    np.testing.assert_allclose(evaluator.run(None, feed)[0], want, atol=1e-4, rtol=1e-4)


def test_a_layer_is_written_once_whatever_the_depth() -> None:
    """Operators write each distinct block once; 40 layers call their writers as often as 2."""
    calls = {}
    for depth in (2, 40):
        spec = decoder(attention(position=ROPE))
        spec["stacks"]["decoder"]["layers"] = [{"repeat": depth, "of": ["main"]}]
        program, _ = run(lower(resolve(load_spec(spec))))
        with patch.object(walk, "write_node", wraps=walk.write_node) as writer:
            sheet, _ = sketch(program, Target())
        calls[depth] = writer.call_count
        assert len(sheet.caches) == depth
    assert calls[2] == calls[40]


def test_emission_itself_never_imports_torch() -> None:
    code = (
        "import sys, compiler.emit.onnx, compiler.ops as ops\n"
        "for name in ops.names(): ops.write(name, 'onnx')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
