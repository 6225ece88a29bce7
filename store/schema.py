"""Which version of the tables a database holds, and how it gets to ours.

Alembic is only loaded when there is something to migrate.
"""

import importlib
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select
from sqlalchemy.exc import DBAPIError

from archspec.errors import InputError
from store.connect import writing
from store.tables import metadata

HEAD = "0002"  # the newest file in migrations/versions; a test compares
VERSION_TABLE = (
    "archspec_version"  # our own name, so that Alembic of another program in the same database is left alone
)
_CREATE_LOCK = 0x61726368  # PostgreSQL advisory lock: two processes that create the tables at once take turns

_versions = MetaData()
_version = Table(VERSION_TABLE, _versions, Column("version_num", String(32), primary_key=True))


def prepare(engine: Engine, shown_url: str) -> None:
    """Create the tables in an empty database, migrate older ones, leave current ones alone.

    Errors: InputError if the tables come from a newer archspec or belong to another program.
    """
    try:
        found = _found(engine)
        if found == HEAD:
            return
        if found is None:
            _create(engine, shown_url)
        elif found in _known_versions():
            migrate(engine, HEAD)
        else:
            raise InputError(
                f"the store {shown_url} has table version {found}, this archspec knows up to {HEAD}: "
                "use a newer archspec",
                source="--store",
            )
    except DBAPIError as error:
        raise InputError(f"the store {shown_url} cannot be used: {error.orig}", source="--store") from error


def migrate(engine: Engine, target: str) -> None:
    """Walk the migrations up to `target`.

    It is one transaction, so that a failure leaves the old tables as they were.
    """
    # Loaded by name: 0.15 s that only a migration has to pay.
    command = importlib.import_module("alembic.command")
    config_module = importlib.import_module("alembic.config")
    config = config_module.Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)


def _found(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.execute(select(_version.c.version_num)).scalar()


def _create(engine: Engine, shown_url: str) -> None:
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})")
        if inspect(connection).has_table(VERSION_TABLE):  # another process was quicker
            return
        _refuse_strangers(connection, shown_url)
        metadata.create_all(connection)
        _versions.create_all(connection)
        connection.execute(_version.insert().values(version_num=HEAD))


def _refuse_strangers(connection: Connection, shown_url: str) -> None:
    ours = set(metadata.tables) & set(inspect(connection).get_table_names())
    if ours:
        raise InputError(
            f"the store {shown_url} holds tables of another program ({', '.join(sorted(ours))}); "
            "choose another database",
            source="--store",
        )


def _known_versions() -> set[str]:
    folder = Path(__file__).with_name("migrations") / "versions"
    return {file.name.split("_")[0].removeprefix("v") for file in folder.glob("v*_*.py")}
