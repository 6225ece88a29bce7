"""Opening: bad URLs, foreign and newer databases, two writers, speed of the imports."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archspec.errors import InputError
from store import open_store
from tests.store.made import HERE, feasible, study


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("archspec.db", "is not a store URL"),
        ("mysql://localhost/x", "not 'mysql'"),
        ("sqlite:////no/such/folder/archspec.db", "unable to open"),
        ("postgresql://nobody:secret@127.0.0.1:9/x", "cannot be opened"),
        ("postgresql+nodriver://localhost/x", "no driver"),
        ("sqlite:///x.db?timeout=soon", "cannot be opened|is not a store URL"),
    ],
)
def test_a_bad_url_is_one_message(url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        open_store(url)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are notes, " * 100)
    with pytest.raises(InputError, match="not a database"):
        open_store(f"sqlite:///{file}")
    assert file.read_text() == "these are notes, " * 100


def test_reading_does_not_make_a_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store"):
        open_store(f"sqlite:///{tmp_path / 'none.db'}", create=False)
    assert list(tmp_path.iterdir()) == []


def test_tables_of_another_program_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "theirs.db"
    with sqlite3.connect(file) as theirs:
        theirs.execute("CREATE TABLE trials (mine TEXT)")
    with pytest.raises(InputError, match="another program"):
        open_store(f"sqlite:///{file}")
    tables = sqlite3.connect(file).execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("trials",)]


def test_a_newer_store_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    open_store(url).close()
    with sqlite3.connect(tmp_path / "a.db") as future:
        future.execute("UPDATE archspec_version SET version_num = '9999'")
    with pytest.raises(InputError, match=r"9999.*use a newer archspec"):
        open_store(url)


def test_several_processes_may_open_and_write_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"

    def work(name: str) -> None:
        with open_store(url) as store:
            id_ = store.add_study(study(name), HERE)
            for number in range(20):
                store.add_trials(id_, [feasible(number, 1, 1, 1, key=f"{name}{number}")], HERE)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))
    with open_store(url, create=False) as store:
        assert len(store.candidates()) == 80


def test_pragma_and_attach_are_refused(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'a.db'}") as store:
        for sql in (
            "PRAGMA query_only=OFF",
            "PRAGMA journal_mode=DELETE",
            f"ATTACH '{tmp_path / 'b.db'}' AS b",
            f"VACUUM INTO '{tmp_path / 'c.db'}'",
            "SELECT load_extension('x')",
        ):
            with pytest.raises(InputError):
                store.query(sql)
    assert not (tmp_path / "b.db").exists() and not (tmp_path / "c.db").exists()


def test_postgresql_cannot_leave_read_only(postgresql_url: str) -> None:
    with open_store(postgresql_url) as store:
        store.add_study(study(), HERE)
        for sql in ("SET TRANSACTION READ WRITE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "ROLLBACK"):
            with pytest.raises(InputError):
                store.query(sql)
            with pytest.raises(InputError):
                store.query("DELETE FROM studies")
        assert store.query("SELECT name FROM studies")[1] == [("first",)]


def test_a_current_store_opens_without_alembic(tmp_path: Path) -> None:
    code = f"""
import sys
from store import open_store
for _ in range(2):
    open_store('sqlite:///{tmp_path / "a.db"}').close()
assert not {{"alembic", "torch", "optuna", "pydantic"}} & set(sys.modules), "too much is imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
