"""`compile` and `verify` with the ONNX target, on a tiny model whose attention is fused."""

import json
from pathlib import Path
from typing import Any

import pytest

from archspec.errors import InputError
from archspec.interop.source import open_source
from compiler.emit.compile import Options, compile_spec
from compiler.verify.folder import open_folder
from compiler.verify.package import verify
from tests.emit_onnx.models import SPECS


def compiled(folder: Path, name: str = "llama", **options: Any) -> Path:
    file = folder / "spec.json"
    file.write_text(json.dumps(SPECS[name]))
    compile_spec(open_source(file), folder / "out", Options(**{"target": "onnx", "init": 3} | options))
    return folder / "out"


@pytest.mark.parametrize("runtime", ["ort", "portable", "genai"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral with window", "qwen3 with qk norms"])
def test_a_package_is_what_it_says(name: str, runtime: str, tmp_path: Path) -> None:
    out = compiled(tmp_path, name, runtime=runtime)
    report = json.loads((out / "report.json").read_text())
    assert report["operators"].get("GroupQueryAttention", 0) == (0 if runtime == "portable" else 3)
    assert report["stepping"] is True and report["notes"] == (
        [] if runtime != "genai" else ["no end of sequence is known; genai demands one, so 96 stands for it"]
    )
    assert {"model.onnx", "model.onnx.data", "spec.json", "graph.txt", "probe.safetensors"} <= set(report["files"]) | {
        "report.json"
    }
    assert ("genai_config.json" in report["files"]) == (runtime == "genai")
    found = verify(open_folder(out))
    assert not found.failed, found.failed
    assert {"model in fp32", "steps with state"} <= {check.name for check in found.checks}


@pytest.mark.parametrize("name", ["bert", "roberta", "last row"])
def test_a_model_without_steps(name: str, tmp_path: Path) -> None:
    out = compiled(tmp_path, name)
    assert json.loads((out / "report.json").read_text())["stepping"] is False
    found = verify(open_folder(out))
    assert not found.failed, found.failed


def test_a_source_and_its_reader_step_apart(tmp_path: Path) -> None:
    out = compiled(tmp_path, "encoder and decoder")
    report = json.loads((out / "report.json").read_text())
    assert report["stepping"] is True and {"encoder.onnx", "decoder.onnx"} <= set(report["files"])
    found = verify(open_folder(out))
    assert not found.failed, found.failed
    assert {"model in fp32", "steps with state"} <= {check.name for check in found.checks}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"init": None}, "--weights or --init"),
        ({"dtype": "bf16"}, "no bf16 MatMul"),
        ({"runtime": "genai", "name": "bert"}, "step by step"),
    ],
)
def test_a_refusal_leaves_nothing_behind(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        compiled(tmp_path, **options)
    assert [file.name for file in tmp_path.iterdir()] == ["spec.json"]
