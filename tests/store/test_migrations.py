"""Stores that older versions wrote still open, with everything in them; one dump for each version is kept in old/.

A new version's dump is written by `python -m tests.store.test_migrations`, once, in the change that adds the version.
"""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import store.schema
from store import open_store
from store.connect import connect, parse_url
from store.records import Trial
from store.schema import HEAD, VERSION_TABLE, migrate
from store.tables import metadata
from tests.store.made import HERE, feasible, rejected, study

OLD = Path(__file__).with_name("old")
MIGRATIONS = Path(store.schema.__file__).with_name("migrations")


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def test_head_is_the_newest_migration() -> None:
    assert scripts().get_heads() == [HEAD]


def test_every_version_has_an_old_store() -> None:
    versions = {script.revision for script in scripts().walk_revisions()}
    assert {file.stem.removeprefix("v") for file in OLD.glob("v*.sql")} == versions


@pytest.mark.parametrize("file", sorted(OLD.glob("v*.sql")), ids=lambda file: file.stem)
def test_an_old_store_opens_with_everything_in_it(file: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as old:
        old.executescript(file.read_text())
    with open_store(f"sqlite:///{tmp_path / 'a.db'}") as opened:
        trials = opened.trials(opened.study("first").id)
        assert [(trial.number, trial.state) for trial in trials] == [
            (0, "feasible"),
            (1, "rejected"),
            (2, "duplicate"),
            (3, "feasible"),
        ]
        assert [(c.trial, c.quality, c.memory_bytes, c.tokens_per_second) for c in opened.front()] == [
            (3, 1.25, 2_000_000_000, 80.0)
        ]
        assert_schema_is_current(opened.engine)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_migrations_make_the_tables_that_the_code_declares(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    engine = connect(parse_url(url))
    migrate(engine, HEAD)
    assert_schema_is_current(engine)
    engine.dispose()


def assert_schema_is_current(engine: object) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []


def write_old_store() -> None:
    first = feasible(0, 1.0, 3 * 10**9, 50.0)
    trials = [
        first,
        rejected(1),
        Trial(2, "duplicate", "evolved", 2, {}, variant=first.variant),
        feasible(3, 1.25, 2 * 10**9, 80.0),
    ]
    with open_store("sqlite://") as opened:
        opened.add_trials(opened.add_study(study(), HERE), trials, HERE)
        raw = opened.engine.raw_connection().driver_connection
        (OLD / f"v{HEAD}.sql").write_text("\n".join(raw.iterdump()) + "\n")


if __name__ == "__main__":
    write_old_store()
