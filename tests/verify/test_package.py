"""archspec verify: good packages pass, wrong ones are told apart by what is wrong, changed ones are not run."""

import json
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from archspec.errors import InputError, NoAnswer
from archspec.interop.source import open_source
from compiler.emit.compile import Options, compile_spec
from compiler.verify.folder import open_folder
from compiler.verify.package import verify
from tests.verify.tiny import spec_of

torch.set_num_threads(1)


def compiled(folder: Path, spec: dict | None = None, **options) -> Path:
    file = folder / "spec.json"
    file.write_text(json.dumps(spec or spec_of()))
    compile_spec(open_source(file), folder / "out", Options(**{"init": 3, "dtype": "fp32"} | options))
    return folder / "out"


def checks(out: Path, weights: str | None = None, trust: bool = False) -> dict[str, bool]:
    return {check.name: check.passed for check in verify(open_folder(out, trust), weights).checks}


PASSES = {f"pass {n}": True for n in ("qkv_packing", "gate_up_packing", "residual_norm", "grouped_query")}


def test_a_torch_package(tmp_path):
    assert checks(compiled(tmp_path)) == PASSES | {"model in fp32": True, "steps with state": True}


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_a_package_in_a_narrow_type_is_judged_in_both(tmp_path, dtype):
    found = checks(compiled(tmp_path, dtype=dtype))
    assert found == PASSES | {"model in fp32": True, f"model in {dtype}": True, "steps with state": True}


def test_an_onnx_package(tmp_path):
    out = compiled(tmp_path, target="onnx")
    assert checks(out) == PASSES | {"model in fp32": True, "steps with state": True}


def test_a_model_that_cannot_step(tmp_path):
    out = compiled(tmp_path, spec_of(mask="full"))
    found = verify(open_folder(out))
    assert not found.failed and "steps with state" not in {c.name for c in found.checks}
    assert any(note.startswith("no steps: ") and "full" in note for note in found.notes)


def test_a_package_without_weights_is_tried_with_random_ones(tmp_path):
    out = compiled(tmp_path, init=None)
    assert not (out / "weights.safetensors").exists()
    found = verify(open_folder(out))
    assert not found.failed and {c.against for c in found.checks} >= {"random weights", "all at once"}


def test_against_the_original(tmp_path):
    original = compiled(tmp_path, passes=())
    (tmp_path / "b").mkdir()
    file = tmp_path / "spec.json"
    compile_spec(open_source(file), tmp_path / "b/out", Options(dtype="fp32", weights=str(original)))
    found = checks(tmp_path / "b/out", str(original))
    assert found == PASSES | {"stored weights": True, "model in fp32": True, "steps with state": True}


def test_the_wrong_original_is_seen(tmp_path):
    out = compiled(tmp_path)
    (tmp_path / "other").mkdir()
    other = compiled(tmp_path / "other", init=4, passes=())
    found = checks(out, str(other))
    assert not found["stored weights"] and not found["model in fp32"] and found["steps with state"]


def test_an_original_of_another_architecture_is_refused(tmp_path):
    """The same tensors under a configuration with another base of the rotation."""
    (tmp_path / "hf").mkdir()
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 61, "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32,
        "tie_word_embeddings": True,
    }  # fmt: skip
    file, weights = tmp_path / "hf/config.json", tmp_path / "hf/model.safetensors"
    file.write_text(json.dumps(config))
    save_file(
        transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)).model.state_dict(prefix="model."), weights
    )
    compile_spec(open_source(tmp_path / "hf"), tmp_path / "out", Options(dtype="fp32"))
    assert all(checks(tmp_path / "out", str(tmp_path / "hf")).values())
    file.write_text(json.dumps(config | {"rope_theta": 500}))
    for path in (tmp_path / "hf", weights):
        with pytest.raises(InputError, match=r"another architecture .*theta is 10000.* and 500 there"):
            checks(tmp_path / "out", str(path))


def test_changed_weights_are_refused_and_with_trust_seen(tmp_path):
    out = compiled(tmp_path)
    file = out / "weights.safetensors"
    tensors = load_file(file)
    tensors["decoder.1.gated_mlp.down.weight"][0, 0] += 0.5
    save_file(tensors, file)
    with pytest.raises(InputError, match=r"weights\.safetensors changed after"):
        open_folder(out)
    found = verify(open_folder(out, trust=True))
    assert [c.name for c in found.failed] == ["model in fp32"]
    assert found.notes[0] == "weights.safetensors changed after it was written"


def test_changed_code_is_not_run(tmp_path):
    out = compiled(tmp_path)
    model = out / "model.py"
    model.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + model.read_text())
    with pytest.raises(InputError, match=r"model\.py changed after"):
        open_folder(out)
    assert not (tmp_path / "ran").exists()


def test_cached_bytecode_is_neither_read_nor_written(tmp_path):
    out = compiled(tmp_path)
    bad = tmp_path / "bad.py"
    bad.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    cache = out / "__pycache__" / f"model.{sys.implementation.cache_tag}.pyc"
    cache.parent.mkdir()
    py_compile.compile(str(bad), str(cache), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    before = sorted(out.rglob("*"))
    assert not verify(open_folder(out)).failed
    assert not (tmp_path / "ran").exists() and sorted(out.rglob("*")) == before


def test_a_package_that_does_not_run(tmp_path):
    out = compiled(tmp_path)
    model = out / "model.py"
    model.write_text(model.read_text().replace("F.silu", "F.silly"))
    with pytest.raises(NoAnswer, match=r"does not run: AttributeError: .*silly"):
        verify(open_folder(out, trust=True))


def test_a_missing_file_is_a_change(tmp_path):
    out = compiled(tmp_path)
    (out / "graph.txt").unlink()
    with pytest.raises(InputError, match=r"graph\.txt changed after"):
        open_folder(out)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": 3}', '{"files": {}, "target": "c", "dtype": "fp32"}'])
def test_what_is_no_package(tmp_path, text):
    with pytest.raises(InputError, match="no package"):
        open_folder(tmp_path)
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError):
        open_folder(tmp_path)


def archspec(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archspec.cli.main", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command(tmp_path):
    out = compiled(tmp_path)
    good = archspec("verify", str(out), "--json")
    assert good.returncode == 0 and json.loads(good.stdout)["passed"] is True
    model = out / "model.py"
    model.write_text(model.read_text().replace("F.silu", "F.gelu"))
    refused = archspec("verify", str(out))
    assert refused.returncode == 2 and "model.py changed after" in refused.stderr and "Traceback" not in refused.stderr
    wrong = archspec("verify", str(out), "--trust")
    assert wrong.returncode == 1 and "above tolerance: model in fp32" in wrong.stderr
