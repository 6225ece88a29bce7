"""`archspec bench`: numbers of a package, kept in the store beside those of searches."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archspec.api import compile
from archspec.cli.main import application
from archspec.errors import InputError
from store import open_store
from tests.emit_torch.packages import spec


def bench(folder: Path, *more: str) -> str:
    short = ["--prompt", "6", "--tokens", "3", "--rounds", "1"]
    done = CliRunner().invoke(application("bench"), [str(folder), *short, *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_bench_keeps_what_it_measured(tmp_path: Path) -> None:
    compile(spec(), tmp_path / "p", init=1)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    for _ in range(2):
        found = json.loads(bench(tmp_path / "p", "--store", url, "--json"))
    assert found["decode_tokens_per_second"] > 0 and found["peak_bytes"] > 10**7
    with open_store(url) as store:
        _, rows = store.query("SELECT name, value, variant FROM metrics WHERE fidelity = 'measured' ORDER BY id")
        assert [name for name, _, _ in rows].count("decode_speed") == 2
        report = json.loads((tmp_path / "p" / "report.json").read_text())
        assert {variant for _, _, variant in rows} == {report["variant"]}
        assert store.front() == []  # measured speeds alone are no candidates


def test_bench_without_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compile(spec(attention={"mask": "full"}), tmp_path / "p", init=1)
    assert "it cannot step" in bench(tmp_path / "p", "--no-keep")
    assert not list(tmp_path.glob("*.db"))


def test_bench_misuse(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model\.py"):
        bench(tmp_path, "--no-keep")
    with pytest.raises(InputError, match="at least 1"):
        bench(tmp_path, "--batch", "0")


def test_several_packages_in_turn(tmp_path: Path) -> None:
    compile(spec(), tmp_path / "plain", init=0, passes=())
    compile(spec(), tmp_path / "packed", init=0)
    out = bench(tmp_path / "plain", str(tmp_path / "packed"), "--no-keep")
    assert "(1.00 x)" in out and out.count(" x)") == 4
    both = json.loads(bench(tmp_path / "plain", str(tmp_path / "packed"), "--no-keep", "--json"))
    assert [one["folder"] for one in both] == [str(tmp_path / "plain"), str(tmp_path / "packed")]
