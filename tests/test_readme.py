"""What README.md says is true: its commands exist with the options it shows, its spec is valid, its Python runs."""

import json
import re
import shlex
from pathlib import Path

import pytest

from archspec.cli.main import COMMANDS, application, main
from archspec.spec import load_spec, resolve

README = (Path(__file__).parent.parent / "README.md").read_text()


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in fenced("") for line in block.splitlines()]
    return [line for line in lines if line.startswith("archspec ")]


def test_the_spec_resolves() -> None:
    (spec,) = fenced("json")
    assert resolve(load_spec(json.loads(spec))).name == "llama-3-8b"
    assert len(spec.splitlines()) <= 15


@pytest.mark.parametrize("line", commands())
def test_every_option_shown_exists(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, name, *rest = shlex.split(line)
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    help_text = capsys.readouterr().out
    assert stop.value.code == 0
    for option in (word for word in rest if word.startswith("--")):
        assert option in help_text, option


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        application(name)(args=["--help"], prog_name=f"archspec {name}")
    assert f"archspec {name}" in capsys.readouterr().out.split("Usage", 1)[1].split("\n", 1)[1]


def test_files_it_names_exist() -> None:
    root = Path(__file__).parent.parent
    for path in [*re.findall(r"\]\(([^)#:]+)\)", README), "tests/zoo/not_lowered.txt"]:
        assert (root / path).exists(), path


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block for block in fenced("python") if "import archspec" in block]
    monkeypatch.chdir(tmp_path)
    code = code.replace("trials=500", "trials=40")
    names: dict[str, object] = {}
    exec(code, names)
    assert names["front"]
    assert (tmp_path / "out" / "model.py").exists()
