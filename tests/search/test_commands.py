"""The commands search, pareto and query, as a user types them."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from archspec.cli.main import main
from search import run
from tests.search.test_real import SMALL_SPACE

Run = Callable[..., tuple[int, str, str]]
ARCHSPEC = [sys.executable, "-m", "archspec.cli.main"]
ROOT = Path(__file__).parents[2]
FRONT_KEYS = {
    "study", "trial", "hash", "variant", "quality", "quality_sigma", "fidelity", "context", "batch", "device",
    "memory_bytes", "tokens_per_second", "spec",
}  # fmt: skip


@pytest.fixture
def archspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, stdout and stderr of a command, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHSPEC_STORE", raising=False)
    (tmp_path / "space.json").write_text(json.dumps(SMALL_SPACE))

    def typed(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["archspec", *words])
        try:
            main()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        caught = capsys.readouterr()
        return code, caught.out, caught.err

    return typed


@pytest.fixture(scope="module")
def searched_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two studies, `a` and `b`."""
    file = tmp_path_factory.mktemp("store") / "archspec.db"
    for study, device in (("a", "rtx-4090"), ("b", "l4")):
        run(SMALL_SPACE, budget=2, context=128, trials=50, study=study, device=device, store=f"sqlite:///{file}")
    return file


@pytest.fixture
def searched(searched_once: Path, tmp_path: Path) -> Path:
    """A copy of it, where the commands look for a store."""
    return Path(shutil.copy(searched_once, tmp_path / "archspec.db"))


SEARCH = ("search", "space.json", "--budget-gb", "2", "--context", "128", "--trials", "60")


def test_search_ends_with_one_object(archspec: Run) -> None:
    code, out, err = archspec(*SEARCH, "--json", "--seed", "3")
    found = json.loads(out.splitlines()[-1])
    assert (code, err) == (0, "")
    assert set(found) >= {"study", "trials", "evaluated", "rejected", "front"}
    assert found["trials"] == 60 == found["evaluated"] + found["rejected"] + found["duplicates"]
    assert found["front"] and all(set(row) == FRONT_KEYS for row in found["front"])


def test_the_same_seed_prints_the_same_table(archspec: Run) -> None:
    first = archspec(*SEARCH, "--seed", "3", "--store", "sqlite:///a.db")
    second = archspec(*SEARCH, "--seed", "3", "--store", "sqlite:///b.db")
    other = archspec(*SEARCH, "--seed", "4", "--store", "sqlite:///c.db")
    assert first[0] == 0 and first[1] == second[1] != other[1]
    assert "Parameters alone" in first[1]


def test_resume_needs_no_more_than_the_word(archspec: Run) -> None:
    archspec(*SEARCH, "--study", "mine")
    code, out, _ = archspec("search", "--resume", "--trials", "90", "--json")
    found = json.loads(out)
    assert (code, found["study"], found["trials"]) == (0, "mine", 90)


@pytest.mark.usefixtures("searched")
def test_pareto(archspec: Run) -> None:
    code, out, _ = archspec("pareto", "--json")
    rows = json.loads(out)
    assert code == 0 and all(set(row) == FRONT_KEYS for row in rows)
    assert {row["study"] for row in rows} == {"a", "b"}
    assert all(row["fidelity"] == "prior" and row["quality_sigma"] > 0 for row in rows)
    assert all(row["spec"]["stacks"] for row in rows)
    least = min(row["memory_bytes"] for row in rows)
    code, out, _ = archspec("pareto", "--study", "a", "--max-memory-gb", str((least + 1) / 1e9), "--json")
    assert all(row["memory_bytes"] <= least + 1 and row["study"] == "a" for row in json.loads(out))
    code, out, _ = archspec("pareto")
    assert code == 0 and "Pareto front" in out and "study" in out


@pytest.mark.usefixtures("searched")
def test_pareto_says_no_when_nothing_passes(archspec: Run) -> None:
    code, out, err = archspec("pareto", "--min-speed", "1e12", "--json")
    assert (code, json.loads(out)) == (1, []) and "no feasible candidate" in err


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize("name", ["front.html", "front.png", "FRONT.PNG"])
def test_pictures(archspec: Run, name: str, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    code, _, err = archspec("pareto", "--plot", name)
    data = (tmp_path / name).read_bytes()
    assert (code, err) == (0, f"wrote {name}\n")
    assert {file.name for file in set(tmp_path.iterdir()) - before} == {name}
    if name.lower().endswith("png"):
        assert data.startswith(b"\x89PNG") and len(data) > 30_000
    else:
        text = data.decode()
        assert "decode, tokens" in text and "Pareto front" in text
        assert '<script src="http' not in text and len(text) > 10**6  # plotly is inside


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--plot", "front.pdf"), "FILE.html or FILE.png"),
        (("--plot", "nowhere/front.png"), "no folder nowhere"),
        (("--study", "none"), "no study 'none'"),
        (("--max-memory-gb", "lots"), "--max-memory-gb: 'lots' is not an amount"),
        (("--max-memory-gb", "nan"), "--max-memory-gb: 'nan' is not an amount"),
        (("--min-speed", "nan"), "--min-speed: found nan"),
        (("--min-speed", "-1"), "--min-speed: found -1.0"),
        (("--device", "rtx-4091"), "unknown device 'rtx-4091'; did you mean rtx-4090?; known: rtx-3090, "),
        (("--store", "sqlite:///other.db"), "no store at other.db"),
    ],
)
@pytest.mark.usefixtures("searched")
def test_pareto_with_bad_input(archspec: Run, words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    code, out, err = archspec("pareto", *words)
    assert (code, out) == (2, "") and message in err and "Traceback" not in err
    assert set(tmp_path.iterdir()) == before


def test_pareto_of_one_device(archspec: Run, searched: Path) -> None:
    for asked, study in (("l4", "b"), ("RTX_4090", "a")):
        code, out, _ = archspec("pareto", "--device", asked, "--json")
        assert code == 0 and {row["study"] for row in json.loads(out)} == {study}
    assert archspec("pareto", "--device", "l40s")[0] == 1  # known, and in no study
    with closing(sqlite3.connect(searched)) as store, store:
        store.execute("UPDATE studies SET device = 'mine' WHERE name = 'b'")
    code, out, _ = archspec("pareto", "--device", "mine", "--json")
    assert code == 0 and {row["study"] for row in json.loads(out)} == {"b"}


@pytest.mark.usefixtures("searched")
def test_query_writes_json_whatever_the_database_holds(archspec: Run) -> None:
    sql = "SELECT 9e999 AS a, -9e999 AS a, x'00ff' AS b, 1 AS a_2, NULL AS a, 'é' AS c"
    code, out, _ = archspec("query", "--json", sql)
    assert code == 0
    assert json.loads(out, parse_constant=pytest.fail) == [
        {"a": None, "a_3": None, "b": "00ff", "a_2": 1, "a_4": None, "c": "é"}
    ]


@pytest.mark.usefixtures("searched")
def test_query(archspec: Run) -> None:
    code, out, _ = archspec("query", "SELECT name, budget_bytes FROM studies")
    assert code == 0 and "2000000000" in out and "2 rows" in out
    code, out, _ = archspec("query", "--json", "SELECT name, seed FROM studies WHERE name = 'a'")
    assert json.loads(out) == [{"name": "a", "seed": 0}]
    sql = "SELECT DISTINCT name, unit, context FROM metrics WHERE name IN ('memory', 'quality') ORDER BY name"
    code, out, _ = archspec("query", "--json", sql)
    assert [tuple(row.values()) for row in json.loads(out)] == [("memory", "byte", 128), ("quality", "1", None)]


WRITES = ["DELETE FROM trials", "PRAGMA journal_mode=OFF", "SELECT 1; SELECT 2", "ATTACH 'x.db' AS x"]


@pytest.mark.parametrize("sql", WRITES)
def test_query_refuses_to_write(archspec: Run, sql: str, searched: Path) -> None:
    code, out, err = archspec("query", sql)
    assert (code, out) == (2, "") and err.startswith("archspec: SQL: ")
    assert sqlite3.connect(searched).execute("SELECT count(*) FROM trials").fetchone() == (100,)
    assert not searched.with_name("x.db").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--budget-gb", "0.5"),
        ("--budget-gb", "24", "--store", "sqlite:////no/where/a.db"),
        ("--budget-gb", "24", "--study", ""),
    ],
)
def test_bad_input_is_one_line_and_exit_2(archspec: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    code, out, err = archspec("search", *words)
    assert (code, out) == (2, "") and err.startswith("archspec: --") and err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["search", "pareto", "query"])
def test_help_shows_examples(archspec: Run, name: str) -> None:
    code, out, _ = archspec(name, "--help")
    assert code == 0 and out.count(f"archspec {name} ") >= 3


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*ARCHSPEC, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def when_stored(file: Path, trials: int) -> None:
    """Wait until another process has stored that many."""
    for _ in range(1200):
        time.sleep(0.05)
        try:
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
                if store.execute("SELECT count(*) FROM trials").fetchone()[0] >= trials:
                    return
        except sqlite3.OperationalError:
            continue
    raise TimeoutError


def test_killed_in_the_middle_and_resumed(tmp_path: Path) -> None:
    asked = {"budget": 24, "trials": 150, "study": "default"}
    whole = run(**asked, store=f"sqlite:///{tmp_path / 'whole.db'}")
    process = started(tmp_path, "search", "--budget-gb", "24", "--trials", "150", "--study", "default")
    when_stored(tmp_path / "archspec.db", 50)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = run(**asked, resume=True, store=f"sqlite:///{tmp_path / 'archspec.db'}")
    assert resumed == whole


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = started(tmp_path, "search", "--budget-gb", "24", "--trials", "100000", "--study", "my study")
    when_stored(tmp_path / "archspec.db", 50)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "archspec search --resume --study 'my study'" in err and "Traceback" not in err
    assert "Pareto front" in out
