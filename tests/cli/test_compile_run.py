"""`archspec compile` and `archspec run` as a user calls them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from typer.testing import CliRunner

from archspec.cli.main import application
from archspec.errors import InputError
from tests.emit_torch.packages import spec

RUNNER = CliRunner()


def call(command: str, *arguments: str | Path) -> str:
    done = RUNNER.invoke(application(command), [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(command: str, *arguments: str | Path) -> str:
    with pytest.raises(InputError) as found:
        RUNNER.invoke(application(command), [str(a) for a in arguments], catch_exceptions=False)
    return str(found.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(spec()))
    return path


@pytest.fixture
def package(file: Path, tmp_path: Path) -> Path:
    call("compile", file, "-o", tmp_path / "p", "--init", "1", "--dtype", "fp32")
    words = {f"w{i}": i for i in range(97)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "p" / "tokenizer.json"))
    return tmp_path / "p"


def test_compile_says_what_it_did(file: Path, tmp_path: Path) -> None:
    told = call("compile", file, "-o", tmp_path / "a")
    assert "qkv_packing: 2 of 2 places" in told and "no weights: give --weights PATH or --init SEED" in told
    told = call("compile", file, "-o", tmp_path / "b", "--init", "3")
    assert "changes outputs by" in told and "no weights" not in told
    assert json.loads(call("compile", file, "-o", tmp_path / "c", "--json"))["name"] == "tiny"


def test_passes_by_name(file: Path, tmp_path: Path) -> None:
    def matched(passes: str) -> list[str]:
        report = json.loads(call("compile", file, "-o", tmp_path / passes, "--passes", passes, "--json"))
        return [p["name"] for p in report["passes"]]

    assert matched("none") == []
    assert matched("qkv_packing,dead_nodes") == ["dead_nodes", "qkv_packing"]
    assert "no pass 'fuse'" in refused("compile", file, "-o", tmp_path / "x", "--passes", "fuse")


def test_the_folder_has_the_name_of_the_model(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call("compile", file)
    assert (tmp_path / "tiny" / "model.py").exists()


def test_what_is_not_there_yet_is_refused(file: Path, tmp_path: Path) -> None:
    assert "--quantize: is not available yet" in refused("compile", file, "-o", tmp_path / "x", "--quantize", "int4")
    assert "--sparsify: is not available yet" in refused("compile", file, "-o", tmp_path / "x", "--sparsify", "2:4")
    told = refused("compile", file, "-o", tmp_path / "x", "--runtime", "genai")
    assert "--runtime: found 'genai', which is of --target onnx" in told
    assert not (tmp_path / "x").exists()


def test_run_streams_text(package: Path) -> None:
    text = call("run", package, "--prompt", "w5 w6 w7", "--tokens", "5")
    assert len(text.split()) == 5 and all(word.startswith("w") for word in text.split())
    assert json.loads(call("run", package, "--prompt", "w5 w6 w7", "--tokens", "5", "--json"))["text"] == text.rstrip(
        "\n"
    )


def test_run_draws_with_a_seed(package: Path) -> None:
    def drawn(seed: str) -> str:
        return call("run", package, "--ids", "5,6", "--tokens", "8", "--temperature", "3", "--seed", seed)

    assert drawn("1") == drawn("1") != drawn("2")


def test_run_a_spec_that_carries_weights(package: Path) -> None:
    (package / "model.py").rename(package / "old.py")  # only spec and weights are left: compiled again to run
    assert len(call("run", package, "--ids", "5,6", "--tokens", "3").split(",")) == 3


def test_run_misuse(package: Path, file: Path) -> None:
    assert "give --prompt TEXT or --ids" in refused("run", package)
    assert "carries no weights" in refused("run", file, "--ids", "1")
    assert "input_ids has 200" in refused("run", package, "--ids", "200")
    assert "whole numbers" in refused("run", package, "--ids", "a")
    (package / "tokenizer.json").write_text("{")
    assert "tokenizer.json: is no tokenizer" in refused("run", package, "--prompt", "w1")
    (package / "tokenizer.json").unlink()
    assert "no tokenizer.json" in refused("run", package, "--prompt", "w1")


def test_run_an_onnx_package(tmp_path: Path) -> None:
    """The same tokens from both targets, the ONNX one through onnxruntime-genai."""
    pytest.importorskip("onnxruntime_genai")
    (tmp_path / "tiny.json").write_text(json.dumps(spec(attention={"d_head": 16})))
    onnx = ["--target", "onnx", "--runtime", "genai"]
    call("compile", tmp_path / "tiny.json", "-o", tmp_path / "o", "--init", "1", *onnx)
    call("compile", tmp_path / "tiny.json", "-o", tmp_path / "t", "--init", "1", "--dtype", "fp32")
    ran = [call("run", tmp_path / folder, "--ids", "5,6,7", "--tokens", "6") for folder in ("o", "t")]
    assert ran[0] == ran[1] and len(ran[0].split(",")) == 6
    call("compile", tmp_path / "tiny.json", "-o", tmp_path / "p", "--init", "1", "--target", "onnx")
    assert "--runtime genai" in refused("run", tmp_path / "p", "--ids", "1")


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is told where there is no CUDA device")
@pytest.mark.parametrize("command", ["run", "bench"])
def test_a_device_that_is_not_there(command: str, package: Path) -> None:
    more = ["--ids", "1"] if command == "run" else ["--no-keep"]
    assert "--device cuda: this machine has no CUDA device" in refused(command, package, *more, "--device", "cuda")
    assert "--device: found 'gpu'; allowed: cpu, cuda" in refused(command, package, *more, "--device", "gpu")


def test_a_device_that_genai_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genai = pytest.importorskip("onnxruntime_genai")
    (tmp_path / "tiny.json").write_text(json.dumps(spec(attention={"d_head": 16})))
    call(
        "compile", tmp_path / "tiny.json", "-o", tmp_path / "o", "--init", "1", "--target", "onnx", "--runtime", "genai"
    )
    asked = ("run", tmp_path / "o", "--ids", "1", "--device", "cuda")
    monkeypatch.setattr(genai, "is_cuda_available", lambda: False)
    assert "--device cuda: this machine has no CUDA device" in refused(*asked)
    monkeypatch.setattr(genai, "is_cuda_available", lambda: True)
    assert "compiled for the CPU; compile it with --device cuda" in refused(*asked)


@pytest.mark.parametrize("command", ["run", "bench"])
def test_damaged_weights_of_a_package(command: str, package: Path) -> None:
    file = package / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    message = refused(command, package, *(["--ids", "1"] if command == "run" else ["--no-keep"]))
    assert f"{file}: not a complete safetensors file" in message
    save_file({"decoder.final_norm.weight": torch.ones(3)}, file)
    message = refused(command, package, *(["--ids", "1"] if command == "run" else ["--no-keep"]))
    assert f"{package}: cannot be loaded: " in message and "decoder.final_norm.weight" in message
