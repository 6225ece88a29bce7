"""archspec import and archspec export, as the console script runs them."""

import json
import sys
from pathlib import Path

import pytest

from archspec.cli.main import main
from tests.interop.test_source import PUBLISHED, written


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["archspec", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(tmp_path, PUBLISHED["gpt2"], indent=4)
    assert run(monkeypatch, "import", config, "-o", tmp_path / "spec.json") == 0
    assert run(monkeypatch, "export", tmp_path / "spec.json", "-o", tmp_path / "again.json") == 0
    assert (tmp_path / "again.json").read_bytes() == config.read_bytes()


def test_without_a_file_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = written(tmp_path, PUBLISHED["gpt2"])
    assert run(monkeypatch, "import", config) == 0
    assert json.loads(capsys.readouterr().out)["vocab_size"] == 50257
    assert run(monkeypatch, "import", config, "--json") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "huggingface"
    assert run(monkeypatch, "export", "zoo:gpt2") == 0
    assert json.loads(capsys.readouterr().out)["n_embd"] == 768


def test_bad_input_is_one_message_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = written(tmp_path, PUBLISHED["gpt2"] | {"surprise": 1})
    assert run(monkeypatch, "import", config, "-o", tmp_path / "spec.json") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "config.json at /surprise" in error
    assert not (tmp_path / "spec.json").exists()
    assert run(monkeypatch, "export", "zoo:gpt2", "-o", tmp_path / "nowhere" / "x.json") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_export_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "llama-3-8b", "-o", str(tmp_path / "c.json"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["config"] == json.loads(Path(found["file"]).read_text())
