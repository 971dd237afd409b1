"""A ledger that an earlier dbdeck made: it is told as such, `audit init` mends it, and every row stays."""

from __future__ import annotations

import asyncio
import sqlite3
import warnings
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from console.audit.definitions import EARLIER, Part
from console.audit.ledger import inspect, install
from console.audit.record import Kind
from console.errors import AuditUnavailable
from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink
from tests.conftest import _server
from tests.servers import places
from tests.servers.accounts import APP, OPERATOR
from tests.servers.fleet import Fleet
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

BEFORE = Path(__file__).parent / "earlier"
_OWNER = "dbdeck_audit_owner@localhost"


def text(name: str) -> str:
    return (BEFORE / name).read_text()


def several(name: str) -> list[str]:
    return text(name).split("\n-- next\n")


async def on_postgres(server: PostgresServer, journal: Path) -> PostgresSink:
    sink = PostgresSink(server, await server.new_database(), journal)
    grants = [
        text(f"postgres_{right}.sql").format(role=role)
        for role in (OPERATOR, APP)
        for right in ("reader", "writer", "auditor")
    ]
    await sink.execute(
        text("postgres.sql").replace("{", "{{").replace("}", "}}"), text("postgres_owner.sql"), *grants
    )
    return sink


async def on_mysql(server: MysqlServer, journal: Path) -> MysqlSink:
    sink = MysqlSink(server, f"ledger_{uuid4().hex[:12]}", journal)
    strict = "set sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
    admin = await server.connect()
    async with admin.cursor() as cursor:
        await cursor.execute(f"create database {sink.database} character set utf8mb4")
        await cursor.execute(f"select count(*) from mysql.user where user = '{_OWNER.partition('@')[0]}'")
        if (await cursor.fetchone())[0] == 0:
            await cursor.execute(f"create user {_OWNER} identified by 'Not-Known-1' account lock")
    await admin.ensure_closed()
    grants = [
        one.format(account=f"'{account}'@'%'")
        for account in (OPERATOR, APP)
        for right in ("reader", "writer", "auditor")
        for one in several(f"mysql_{right}.sql")
    ]
    made = [one.replace("{", "{{").replace("}", "}}") for one in several("mysql.sql")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MySQL's advice on modes
        await sink.execute(strict, *made, *grants)
    return sink


def on_sqlite(disk: Path, journal: Path) -> SqliteSink:
    sink = SqliteSink(disk / "audit.db", journal)
    sink.path.touch(0o600)
    with closing(sqlite3.connect(sink.path)) as connection:
        connection.executescript(text("sqlite.sql"))
        connection.execute("insert into ledger values (?, 1)", (uuid4().hex,))  # its code did this
        connection.commit()
    return sink


@pytest.fixture(params=["sqlite", *places.NAMES])
async def old(request: pytest.FixtureRequest, fleet: Fleet, disk: Path, journal: Path) -> Sink:
    if request.param == "sqlite":
        return on_sqlite(disk, journal)
    server = _server(request, fleet, request.param)
    if isinstance(server, PostgresServer):
        return await on_postgres(server, journal)
    return await on_mysql(server, journal)


async def filled(sink: Sink, rows: int = 5) -> UUID:
    """An action that ended, one that did not, and steps between."""
    async with sink.open() as ledger:
        await ledger.append(Kind.INTENT, done := uuid4(), {"n": 0}, idempotency_key=f"k{uuid4().hex}")
        for number in range(rows):
            await ledger.append(Kind.STEP, done, {"n": number})
        await ledger.append_late(Kind.OUTCOME, done, {"status": "applied"})
        await ledger.append(Kind.INTENT, left := uuid4(), {"n": 1})
    return left


async def upgraded(sink: Sink) -> list[str]:
    accounts = [f"{one}@%" if isinstance(sink, MysqlSink) else one for one in (OPERATOR, APP)]
    given = [] if isinstance(sink, SqliteSink) else accounts
    return await install(sink.admin, writers=given, auditors=given)


def of_earlier(parts: Sequence[Part]) -> set[str]:
    return {part.name for part in parts if EARLIER in part.detail}


CHANGED = {
    PostgresSink: {"append", "deny", "digest", "field", "find"},
    MysqlSink: {"append_entry", "entry_no_update", "find_entry"},
    SqliteSink: {"entry_no_update"},
}


async def test_it_is_told_as_that_of_an_earlier_dbdeck_and_what_mends_it(old: Sink) -> None:
    parts = await old.parts()
    assert of_earlier(parts) == CHANGED[type(old)]
    wrong = [part for part in parts if part.is_wrong]
    assert {part.name for part in wrong if part.state == "changed"} <= CHANGED[type(old)]
    assert all("dbdeck audit init" in part.remedy for part in wrong), wrong
    assert old.journal.exists() is False  # a look makes nothing


async def test_after_audit_init_it_is_as_made_and_every_row_is_there(old: Sink) -> None:
    left = await filled(old)
    async with old.open(write=False) as ledger:
        before = await ledger.entries(newest_first=False)
        assert (await ledger.verify()).ok
        own = ledger.id
    await upgraded(old)
    parts = await old.parts()
    assert [part for part in parts if part.is_wrong or part.state == "unknown"] == []
    async with old.open(write=False) as ledger:
        assert ledger.id == own
        assert await ledger.entries(newest_first=False) == before
        found = await ledger.verify()
        assert (found.ok, found.rows) == (True, len(before))
        assert [one.action_id for one in await ledger.open_intents()] == [left]
    await filled(old)
    async with old.open(write=False) as ledger:
        assert (await ledger.verify()).ok


async def test_who_writes_meanwhile_goes_on(old: Sink) -> None:
    """A console that was open all the time: its connection, its chain and its lock outlive the upgrade."""
    async with old.open() as open_before:
        await open_before.append(Kind.INTENT, action := uuid4(), {"n": 1})
        await upgraded(old)
        await open_before.append(Kind.STEP, action, {"n": 1})
        async with old.open() as other:
            await other.append(Kind.STEP, uuid4(), {"n": 2})
            assert [(one.action_id, one.alive) for one in await other.open_intents()] == [(action, True)]
        await open_before.append_late(Kind.OUTCOME, action, {"status": "applied"})
        assert await open_before.open_intents() == []
    async with old.open(write=False) as ledger:
        found = await ledger.verify()
        assert (found.ok, found.open_intents) == (True, ())


async def test_an_upgrade_amid_writers_loses_no_row_and_makes_no_fault(old: Sink) -> None:
    """Where a procedure is missing for a moment the row is refused, and nothing is claimed."""
    taken: list[int] = []
    end = asyncio.Event()

    async def write() -> None:
        async with old.open() as ledger:
            while not end.is_set():
                with suppress(AuditUnavailable):
                    taken.append((await ledger.append(Kind.STEP, uuid4(), {"n": len(taken)})).seq)
                await asyncio.sleep(0.001)

    writers = [asyncio.create_task(write()) for _ in range(3)]
    async with asyncio.timeout(60):
        while len(taken) < 10:
            await asyncio.sleep(0.01)
        await upgraded(old)
        known = len(taken)
        while len(taken) < known + 10:
            await asyncio.sleep(0.01)
    end.set()
    await asyncio.gather(*writers)
    async with old.open(write=False) as ledger:
        found = await ledger.verify()
        assert found.ok
        assert len(await ledger.entries(kinds=(Kind.STEP,))) == len(taken)


async def test_whoever_could_write_and_read_still_can_without_being_named(old: Sink) -> None:
    await filled(old)
    if isinstance(old, SqliteSink):
        pytest.skip("a file knows no logins")
    await install(old.admin)
    async with old.open() as ledger:
        await ledger.append(Kind.STEP, uuid4(), {"n": 1})
        assert (await ledger.verify()).ok


async def test_what_somebody_changed_is_not_taken_for_an_earlier_one(postgres_sink: PostgresSink) -> None:
    await postgres_sink.execute(
        "create or replace function dbdeck_audit.deny() returns trigger language plpgsql"
        " set search_path = pg_catalog, pg_temp as $$ begin return old; end $$"
    )
    (part,) = [one for one in await inspect(postgres_sink.admin) if one.name == "deny"]
    assert (part.state, part.detail) == ("changed", "")
