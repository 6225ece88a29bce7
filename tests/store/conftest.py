"""Stores to test against: SQLite in a file and in memory, and a real PostgreSQL where its programs are installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store, open_store


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a database server of our own, empty, gone afterwards. Skips where PostgreSQL or its driver is missing."""
    pytest.importorskip("psycopg")
    if not (shutil.which("initdb") and shutil.which("pg_ctl")):
        pytest.skip("PostgreSQL is not installed")
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        if not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
            pytest.skip("PostgreSQL does not run as root and there is no user postgres")
        user = "postgres"
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    if user:
        shutil.chown(data, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run(command, user=user, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("initdb", "-D", str(data), "-U", "archspec", "--auth=trust")
    run("pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")
    yield f"postgresql://archspec@127.0.0.1:{port}"
    run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str, request: pytest.FixtureRequest) -> str:
    """A fresh database on that server."""
    import psycopg

    name = f"t{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgresql_server}/{name}"


@pytest.fixture(params=["sqlite file", "sqlite memory", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The contract suite runs once for each kind."""
    if request.param == "sqlite file":
        url = f"sqlite:///{tmp_path / 'archspec.db'}"
    elif request.param == "sqlite memory":
        url = "sqlite://"
    else:
        url = request.getfixturevalue("postgresql_url")
    with open_store(url) as opened:
        yield opened
