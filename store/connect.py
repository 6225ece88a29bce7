"""From a URL to a working engine, or to one clear message."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import StaticPool

from archspec.errors import InputError

DEFAULT_URL = "sqlite:///archspec.db"
BUSY_SECONDS = 30  # how long a SQLite writer waits for another one
CONNECT_SECONDS = 5  # how long a server may take to answer

_BEGIN = "sqlite_begin"

# URL of the dialect alone -> with the driver we use
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def parse_url(url: str) -> URL:
    """The URL, checked.

    Errors: InputError for text that is no URL and for databases other than SQLite and PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"'{url}' is not a store URL; write sqlite:///FILE.db or postgresql://user@host/database", source="--store"
        ) from error
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    backend = parsed.drivername.split("+")[0]
    if backend not in ("sqlite", "postgresql"):
        raise InputError(f"the store speaks sqlite and postgresql, not '{backend}'", source="--store")
    return parsed


def shown(url: URL) -> str:
    """The URL as it may be printed: without its password."""
    return url.render_as_string(hide_password=True)


def sqlite_file(url: URL) -> Path | None:
    """The file behind a SQLite URL; None for another database and for one in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def connect(url: URL) -> Engine:
    """An engine that has answered once. Errors: InputError says what could not be reached and why."""
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": BUSY_SECONDS}
        if sqlite_file(url) is None:
            options["poolclass"] = StaticPool  # one connection: each new one would be another empty database
    else:
        options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
        options["pool_pre_ping"] = True
    try:
        engine = create_engine(url, **options)
        if url.get_backend_name() == "sqlite":
            event.listen(engine, "connect", _sqlite_settings)
            event.listen(engine, "begin", _begin)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError(
            f"no driver for {shown(url)}: {error}; pip install 'archspec-compiler[postgres]'", source="--store"
        ) from error
    except (OperationalError, DBAPIError, OSError, TypeError, ValueError) as error:
        raise InputError(f"the store {shown(url)} cannot be opened: {_first_line(error)}", source="--store") from error
    return engine


def writing(engine: Engine) -> AbstractContextManager[Connection]:
    """One transaction that writes: all of it is kept, or nothing.

    SQLite takes its write lock at once, so that two writers queue.
    """
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}).begin()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _sqlite_settings(connection: Any, _record: Any) -> None:
    """WAL: readers and one writer at once, and a killed process loses at most what it had not committed."""
    connection.isolation_level = (
        None  # we begin transactions ourselves: the driver would leave table changes outside of them
    )
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _first_line(error: BaseException) -> str:
    original = getattr(error, "orig", None) or error
    return next((line.strip() for line in str(original).splitlines() if line.strip()), type(original).__name__)
