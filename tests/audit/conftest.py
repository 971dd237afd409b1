"""`sink`: the same tests on SQLite, PostgreSQL 15, 17 and 18, MariaDB and MySQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink
from tests.conftest import _server, in_memory
from tests.servers import places
from tests.servers.fleet import Fleet
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A private folder on a real disk: journals are refused on a /tmp of memory."""
    if not in_memory(tmp_path):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_REPOSITORY, prefix=".disk-") as folder:
        yield Path(folder)


@pytest.fixture
def journal(disk: Path) -> Path:
    return disk / "journal"


@pytest.fixture
def sqlite(disk: Path, journal: Path) -> SqliteSink:
    return SqliteSink(disk / "audit.db", journal)


@pytest.fixture
async def postgres_sink(postgres: PostgresServer, journal: Path) -> PostgresSink:
    sink = PostgresSink(postgres, await postgres.new_database(), journal)
    await sink.install()
    return sink


@pytest.fixture
async def mysql_sink(mysql: MysqlServer, journal: Path) -> MysqlSink:
    sink = MysqlSink(mysql, f"ledger_{uuid4().hex[:12]}", journal)
    await sink.install()
    return sink


@pytest.fixture(params=["sqlite", *places.NAMES])
async def sink(request: pytest.FixtureRequest, fleet: Fleet, disk: Path, journal: Path) -> Sink:
    if request.param == "sqlite":
        return SqliteSink(disk / "audit.db", journal)
    server = _server(request, fleet, request.param)
    if isinstance(server, PostgresServer):
        on_postgres = PostgresSink(server, await server.new_database(), journal)
        await on_postgres.install()
        return on_postgres
    on_mysql = MysqlSink(server, f"ledger_{uuid4().hex[:12]}", journal)
    await on_mysql.install()
    return on_mysql
