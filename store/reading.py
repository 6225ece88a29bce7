"""Read-only SQL: the user's own text, on a connection that cannot write."""

import sqlite3
from contextlib import closing
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from archspec.errors import InputError
from store.connect import sqlite_file

# What SQLite's authorizer lets a statement do. Everything else (INSERT, PRAGMA, ATTACH, CREATE, ...) is refused while
# it is compiled.
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_REFUSED_FUNCTIONS = {"load_extension", "fts3_tokenizer"}


def run_query(engine: Engine, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of one SELECT.

    Writing is impossible on the connection itself (SQLite: mode=ro, query_only and an authorizer; PostgreSQL: a
    read-only transaction and a prepared statement, which can only be one): the text is never searched for forbidden
    words. Errors: InputError with the database's own message.
    """
    if not sql.strip():
        raise InputError("an empty query", source="SQL")
    run = _sqlite if engine.dialect.name == "sqlite" else _postgresql
    try:
        return run(engine, sql)
    except (sqlite3.Error, sqlite3.Warning, DBAPIError) as error:
        message = str(getattr(error, "orig", None) or error).strip()
        if "not authorized" in message or "prohibited" in message:
            message += "; the store is only read here: one SELECT statement"
        raise InputError(message, source="SQL") from error


def _sqlite(engine: Engine, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    file = sqlite_file(engine.url)
    if file is None:  # in memory: there is only the one connection, so it is locked and unlocked
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute("PRAGMA query_only=ON")
            raw.set_authorizer(_authorize)
            try:
                return _fetch(raw, sql)
            finally:
                raw.set_authorizer(None)
                raw.execute("PRAGMA query_only=OFF")
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as raw:
        raw.execute("PRAGMA query_only=ON")
        raw.set_authorizer(_authorize)
        return _fetch(raw, sql)


def _fetch(connection: sqlite3.Connection, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor = connection.execute(sql)
    if cursor.description is None:
        raise InputError("the statement returns no rows; one SELECT is expected", source="SQL")
    return [column[0] for column in cursor.description], cursor.fetchall()


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    if action in _ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second not in _REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _postgresql(engine: Engine, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        raw: Any = connection.connection.driver_connection
        try:
            with raw.cursor() as cursor:
                cursor.execute(sql, prepare=True)
                if cursor.description is None:
                    raise InputError("the statement returns no rows; one SELECT is expected", source="SQL")
                return [column.name for column in cursor.description], cursor.fetchall()
        except InputError:
            raise
        except (
            Exception
        ) as error:  # psycopg's own errors, which SQLAlchemy did not wrap since it did not run the statement
            if type(error).__module__.split(".")[0] != "psycopg":
                raise
            raise InputError(str(error).strip().splitlines()[0], source="SQL") from error
        finally:
            connection.rollback()
            connection.invalidate()  # whatever the statement set for its session goes with the session
