"""validate, fmt, diff, schema: what they print and how they exit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archspec.cli.main import main
from archspec.spec import spec_schema
from tests.spec.documents import ATTENTION, MLP, ROOT, STACK, tiny

EXAMPLES = ROOT / "examples"


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["archspec", *args])
    with pytest.raises(SystemExit) as stop:
        main()
    out = capsys.readouterr()
    return int(stop.value.code or 0), out.out, out.err


@pytest.fixture
def archspec(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    return lambda *args: run(capsys, monkeypatch, *map(str, args))


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(tiny({f"{ATTENTION}/n_kv_heads": 3})))
    return file


def test_validate(archspec, bad: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = archspec("validate", EXAMPLES / "t5-base.json", EXAMPLES / "spaces" / "decoder.json")
    assert (code, err) == (0, "")
    assert "t5-base.json: valid, hash " in out and "a space of " in out
    code, out, err = archspec("validate", EXAMPLES / "t5-base.json", bad)
    assert code == 2
    assert "t5-base.json: valid" in out
    assert err == f"archspec: {bad} at /{ATTENTION}/n_kv_heads: found 3; n_heads (4) must be a multiple of n_kv_heads\n"


def test_validate_json(archspec, bad: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = archspec("validate", "--json", EXAMPLES / "t5-base.json", bad)
    good, wrong = json.loads(out)
    assert code == 2
    assert good["valid"] and len(good["hash"]) == len(good["variant"]) == 64
    assert not wrong["valid"] and wrong["path"] == f"/{ATTENTION}/n_kv_heads"


def test_validate_names_the_hole_of_a_space(archspec, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "space.json"
    file.write_text(json.dumps(tiny({f"{MLP}/d_ff": {"$choice": [8, "wide"]}})))
    code, _, err = archspec("validate", file)
    assert code == 2 and f"/{MLP}/d_ff" in err and "'wide'" in err


def test_fmt(archspec, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(tiny(), indent=4))
    before = file.read_text()
    code, out, _ = archspec("fmt", "--check", file)
    assert code == 1 and "would change" in out and file.read_text() == before
    assert archspec("fmt", file)[0] == 0
    assert json.loads(file.read_text()) == tiny() and file.read_text() != before
    assert archspec("fmt", "--check", file)[:2] == (0, "")
    assert list(tmp_path.iterdir()) == [file]


def test_fmt_writes_nothing_if_one_file_is_wrong(archspec, bad: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(tiny()))
    before = file.read_text()
    code, _, err = archspec("fmt", file, bad)
    assert code == 2 and str(bad) in err and file.read_text() == before


def test_diff(archspec, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps(tiny()))
    changes = {f"{ATTENTION}/n_kv_heads": 1, f"{STACK}/blocks/b": {"like": "main", "set": {"/0/op/mask": "full"}}}
    b.write_text(json.dumps(tiny({**changes, f"{STACK}/layers": ["main", "b", "main"]})))
    code, out, _ = archspec("diff", a, b)
    assert code == 0
    assert out.splitlines() == [
        "decoder.0-2.attention.op.n_kv_heads: 2 -> 1",
        'decoder.1.attention.op.mask: "causal" -> "full"',
        "different architectures",
    ]
    code, out, _ = archspec("diff", "--json", a, a)
    assert (code, json.loads(out)) == (0, {"same_architecture": True, "differences": []})


def test_schema(archspec, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = archspec("schema")
    assert code == 0 and json.loads(out) == spec_schema()
    file = tmp_path / "space.schema.json"
    assert archspec("schema", "--space", "-o", file)[0] == 0
    assert "Hole" in json.loads(file.read_text())["$defs"]
    code, _, err = archspec("schema", "-o", tmp_path / "no" / "folder.json")
    assert code == 2 and "cannot be written" in err


def test_help_has_examples(archspec) -> None:  # type: ignore[no-untyped-def]
    for command in ("validate", "fmt", "diff", "schema"):
        code, out, _ = archspec(command, "--help")
        assert code == 0 and f"archspec {command} " in out


def test_no_traceback_as_a_process(bad: Path) -> None:
    command = [sys.executable, "-m", "archspec.cli.main", "fmt", str(bad)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith(f"archspec: {bad} at /{ATTENTION}/n_kv_heads: ") and done.stderr.count("\n") == 1
