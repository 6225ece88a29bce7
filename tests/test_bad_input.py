"""Bad input, each kind as a user meets it: exit code 2, one clear message on stderr, nothing written."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from archspec.cli.main import main

PLAIN: dict[str, Any] = {
    "archspec": 1,
    "name": "tiny",
    "vocab_size": 97,
    "max_length": 64,
    "stacks": {
        "decoder": {
            "d_model": 32,
            "input": {"sum": ["tokens"]},
            "blocks": {
                "main": [
                    {
                        "pre_norm": "rms",
                        "op": {
                            "type": "attention",
                            "n_heads": 4,
                            "n_kv_heads": 2,
                            "mask": "causal",
                            "position": ["rope"],
                        },
                    },
                    {"pre_norm": "rms", "op": {"type": "gated_mlp", "d_ff": 64, "activation": "silu"}},
                ]
            },
            "layers": [{"repeat": 2, "of": ["main"]}],
            "final_norm": "rms",
        }
    },
    "head": {"logits": "linear"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """PLAIN with one value replaced at a slash path."""
    document = copy.deepcopy(PLAIN)
    *way, last = path.strip("/").split("/")
    place: Any = document
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[int(last) if isinstance(place, list) else last] = value
    return document


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out = capsys.readouterr()
    assert stop.value.code == 2, out
    assert "Traceback" not in out.err
    return out.err


ATTENTION = "/stacks/decoder/blocks/main/0/op"
MLP = "/stacks/decoder/blocks/main/1/op"

SPECS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a wrong type deep in the tree": (changed(f"{MLP}/activation", 7), ["activation", "7", "silu"]),
    "an unknown op type": (changed(f"{ATTENTION}/type", "atention"), ["atention", "attention"]),
    "an unknown field": (changed(f"{ATTENTION}/n_head", 4), ["n_head", "n_heads"]),
    "an unknown block": (changed("/stacks/decoder/layers/0/of", ["mian"]), ["mian", "main"]),
    "heads not a multiple of KV heads": (changed(f"{ATTENTION}/n_kv_heads", 3), ["n_kv_heads", "3", "4"]),
    "a formula that is not whole": (changed(f"{MLP}/d_ff", "=d_model/3"), ["d_ff", "d_model/3", "whole"]),
    "a formula that does not parse": (changed(f"{MLP}/d_ff", "=4*(d_model"), ["d_ff", "4*(d_model"]),
    "a formula that would be code": (changed(f"{MLP}/d_ff", "=__import__('os').getpid()"), ["d_ff"]),
    "a window of 0": (changed(f"{ATTENTION}/mask", {"type": "window", "behind": 0}), ["behind", "0"]),
    "a negative size": (changed(f"{MLP}/d_ff", -64), ["d_ff", "-64"]),
    "a layer of 10^12": (changed(f"{MLP}/d_ff", 10**12), ["d_ff"]),
    "a rotary slice wider than the head": (
        changed(f"{ATTENTION}/position", [{"type": "rope", "dims": 64}]),
        ["rotat", "64"],
    ),
    "a source that does not exist": (changed(f"{ATTENTION}/source", "encoder"), ["source", "encoder"]),
}


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("command", ["validate", "compile"])
def test_a_bad_spec(kind: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, words = SPECS[kind]
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(document))
    more = ["-o", str(tmp_path / "out")] if command == "compile" else []
    message = refused(capsys, command, str(file), *more)
    assert "bad.json" in message
    for word in words:
        assert word in message, (word, message)
    assert not (tmp_path / "out").exists()


def test_a_spec_that_is_not_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text('{"archspec": 1, "name": }')
    message = refused(capsys, "validate", str(tmp_path / "bad.json"))
    assert "bad.json" in message and "JSON" in message


@pytest.mark.parametrize("command", ["show", "compile", "graph", "run"])
def test_a_search_space_is_no_spec(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("space.json").write_text(json.dumps(changed(f"{MLP}/d_ff", {"$int": [32, 64]})))
    more = {"run": ["--ids", "1"], "graph": ["-o", "out.svg"]}.get(command, [])
    message = refused(capsys, command, "space.json", *more)
    assert f"space.json at {MLP}/d_ff: a hole makes this a search space" in message and "archspec search" in message
    assert os.listdir() == ["space.json"]
    wrong = changed(f"{MLP}/d_f", 3) | {"origin": {"$int": [1, 2]}}  # any JSON may stand there
    Path("space.json").write_text(json.dumps(wrong))
    assert "unknown field 'd_f'" in refused(capsys, command, "space.json", *more)


def test_text_inside_a_model_of_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}, "vision_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    message = refused(capsys, "import", str(tmp_path))
    assert "its text_config, of model_type 'gemma3_text', has one" in message and "did you mean" not in message
    config["text_config"] = {"model_type": ["gemma3_text"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "model_type 'gemma3' has no importer" in refused(capsys, "import", str(tmp_path))


@pytest.mark.parametrize("command", ["validate", "fmt", "show", "compile", "search", "run"])
def test_a_spec_nested_too_deeply(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mask: Any = "causal"
    for _ in range(330):
        mask = {"type": "and", "of": [mask, "causal"]}
    Path("deep.json").write_text(json.dumps(changed(f"{ATTENTION}/mask", mask)))
    more = {"search": ["--budget-gb", "24"], "run": ["--ids", "1"]}.get(command, [])
    assert "deep.json" in (message := refused(capsys, command, "deep.json", *more))
    assert "nested deeper than 100 levels" in message
    assert os.listdir() == ["deep.json"]


def test_an_unknown_zoo_name_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "llama-3-8b" in refused(capsys, "show", "lama-3-8b")


@pytest.mark.parametrize("name", ["https://example.com/model.json", "weights.bin", "model.pt"])
def test_urls_and_pickles_are_refused_by_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name in refused(capsys, "show", name)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    (tmp_path / "plain.json").write_text(json.dumps(PLAIN))
    return tmp_path / "plain.json"


def test_weights_of_another_model(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    save_file({"decoder.text.tokens.weight": np.zeros((97, 16), np.float32)}, folder / "model.safetensors")
    message = refused(capsys, "compile", str(plain), "--weights", str(folder), "-o", str(tmp_path / "out"))
    assert "missing" in message and "decoder.final_norm.weight" in message
    assert not (tmp_path / "out").exists()


def test_a_folder_whose_shards_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "hf"
    folder.mkdir()
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    index = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    message = refused(capsys, "compile", str(folder), "-o", str(tmp_path / "out"))
    assert "index.json" in message and "the file model-00001-of-00002.safetensors is missing" in message
    assert not (tmp_path / "out").exists()


def cut_safetensors(folder: Path) -> Path:
    file = folder / "cut.safetensors"
    save_file({"decoder.text.tokens.weight": np.zeros((97, 32), np.float32)}, file)
    file.write_bytes(file.read_bytes()[:-100])
    return file


def cut_gguf(folder: Path) -> Path:
    file = folder / "cut.gguf"
    file.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + (5).to_bytes(8, "little"))
    return file


@pytest.mark.parametrize("cut", [cut_safetensors, cut_gguf])
def test_a_truncated_weights_file(
    cut: Callable[[Path], Path], plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "compile", str(plain), "--weights", str(cut(tmp_path)), "-o", str(tmp_path / "out"))
    assert "cut." in message
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    message = refused(capsys, "compile", str(plain), "-o", str(tmp_path / "file" / "out"))
    assert "file" in message
    assert (tmp_path / "file").read_text() == "in the way"


def test_an_output_folder_that_exists_keeps_its_files(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    refused(capsys, "compile", str(plain), "-o", str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == ["mine.txt"]


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/x.db", "nonsense", "postgresql://localhost:1/none"])
def test_a_store_that_cannot_be_reached(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "store" in refused(capsys, "pareto", "--store", url).lower()


def test_a_budget_nothing_fits_names_the_nearest_miss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"sqlite:///{tmp_path / 'x.db'}"
    message = refused(capsys, "search", "--budget-gb", "0.1", "--trials", "20", "--store", store)
    assert "GB" in message and any(term in message for term in ("weights", "workspace", "cache", "reserve"))


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "show" in refused(capsys, "shwo")
