"""What the login of a writer can do on the ledger's server besides appending: nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pymysql.err import MySQLError

from console.audit import chain
from console.audit.record import Row
from console.secrets import Secret
from console.wire.mysql import Address, Connection, connect_mysql
from tests.audit.forge import row
from tests.audit.sinks import MysqlSink, PostgresSink, Sink
from tests.servers.accounts import APP, PASSWORDS

INSERT = "insert into {entry} (writer, seq, kind) values ('00000000-0000-0000-0000-000000000000', 1, 'x')"
FORBIDDEN = [
    "select * from {entry}",
    INSERT,
    "update {entry} set kind = 'x'",
    "delete from {entry}",
    "truncate {entry}",
    "drop table {entry}",
    "alter table {entry} add y int",
]
ON_POSTGRES = [
    *FORBIDDEN,
    "alter table {entry} disable trigger all",
    "create rule r as on insert to {entry} do instead nothing",
    "create or replace function dbdeck_audit.field(text) returns text language sql as 'select null::text'",
    "set role dbdeck_audit_owner",
]
ON_MYSQL = [
    *FORBIDDEN,
    "drop trigger entry_no_update",
    "drop procedure append_entry",
    "set global read_only = 1",
]
APPEND = "select * from dbdeck_audit.append($1, $2, $3, $4, $5, $6, $7, $8, $9)"
CALL = "call append_entry(%s, %s, %s, %s, %s, unhex(%s), unhex(%s), unhex(%s), unhex(%s))"


def values(of: Row) -> tuple[Any, ...]:
    return (of.writer, of.seq, of.kind, of.action_id, of.parent, None, of.body, of.prev, of.link)


async def as_writer(sink: PostgresSink) -> asyncpg.Connection[asyncpg.Record]:
    return await sink.server.connect(user=APP, database=sink.database)


async def as_mysql_writer(sink: MysqlSink) -> Connection:
    return await connect_mysql(
        Address(
            user=APP,
            host="127.0.0.1",
            port=sink.server.port,
            password=Secret(PASSWORDS[APP]),
            database=sink.database,
            tls="require",
        )
    )


async def test_a_writer_on_postgres_may_only_append(postgres_sink: PostgresSink) -> None:
    connection = await as_writer(postgres_sink)
    try:
        for statement in ON_POSTGRES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(entry=postgres_sink.entry))
    finally:
        await connection.close()


async def test_a_writer_on_mysql_may_only_append(mysql_sink: MysqlSink) -> None:
    connection = await as_mysql_writer(mysql_sink)
    try:
        for statement in ON_MYSQL:
            with pytest.raises(MySQLError, match=r"denied|[Aa]ccess"):
                await connection.fetch(statement.format(entry=mysql_sink.entry))
    finally:
        await connection.aclose()


async def test_postgres_refuses_a_row_that_does_not_fit(postgres_sink: PostgresSink) -> None:
    writer = uuid4()
    good = row(chain.Head(0, chain.START), writer, '{"n":1}')
    second = row(chain.Head(1, good.link), writer, '{"n":2}')
    connection = await as_writer(postgres_sink)
    try:
        for wrong in (
            (*values(second),),  # its predecessor is missing
            (*values(good)[:6], '{"n":9}', *values(good)[7:]),  # the link is of another body
            (*values(good)[:2], "close", *values(good)[3:]),  # and of another kind
        ):
            with pytest.raises(asyncpg.PostgresError):
                await connection.fetch(APPEND, *wrong)
        first = await connection.fetchrow(APPEND, *values(good))
        again = await connection.fetchrow(APPEND, *values(good))
        assert first == again
        forged = row(chain.Head(0, chain.START), writer, '{"n":3}')
        with pytest.raises(asyncpg.PostgresError, match="another one"):
            await connection.fetch(APPEND, *values(forged))
    finally:
        await connection.close()


def hexed(of: Row) -> tuple[Any, ...]:
    body = (of.body or "").encode()
    names = (str(of.writer), of.seq, of.kind, str(of.action_id), None, None)
    return (*names, body.hex(), of.prev.hex(), of.link.hex())


async def test_mysql_refuses_a_row_that_does_not_fit(mysql_sink: MysqlSink) -> None:
    """And answers one that it has with what it answered when it took it."""
    writer = uuid4()
    good = row(chain.Head(0, chain.START), writer, '{"n":1}')
    second = row(chain.Head(1, good.link), writer, '{"n":2}')
    connection = await as_mysql_writer(mysql_sink)
    try:
        for wrong, why in (
            (hexed(second), "missing or another one"),  # its predecessor is missing
            ((*hexed(good)[:6], b'{"n":9}'.hex(), *hexed(good)[7:]), "does not fit its content"),
            ((*hexed(good)[:2], "close", *hexed(good)[3:]), "does not fit its content"),  # of another kind
        ):
            with pytest.raises(MySQLError, match=why):
                await connection.fetch(CALL, wrong)
        first = (await connection.fetch(CALL, hexed(good))).dicts()
        after = (await connection.fetch(CALL, hexed(second))).dicts()
        assert (await connection.fetch(CALL, hexed(good))).dicts() == first
        assert (await connection.fetch(CALL, hexed(second))).dicts() == after
        assert after[0]["witness"] == first[0]["seal"]
        forged = row(chain.Head(1, good.link), writer, '{"n":3}')
        with pytest.raises(MySQLError, match="another one"):
            await connection.fetch(CALL, hexed(forged))
    finally:
        await connection.aclose()


async def test_a_writer_cannot_lower_durability(postgres_sink: PostgresSink) -> None:
    connection = await as_writer(postgres_sink)
    shown = {}
    try:
        for asked in ("off", "local", "on", "remote_apply"):
            async with connection.transaction():
                await connection.execute(f"set local synchronous_commit = {asked}")
                await connection.fetch(APPEND, *values(row(chain.Head(0, chain.START), uuid4())))
                shown[asked] = await connection.fetchval("show synchronous_commit")
    finally:
        await connection.close()
    assert shown == {"off": "on", "local": "on", "on": "on", "remote_apply": "remote_apply"}


async def test_a_writer_on_mysql_moves_neither_clock_nor_transaction(mysql_sink: MysqlSink) -> None:
    writer = uuid4()
    first = row(chain.Head(0, chain.START), writer, '{"n":1}')
    second = row(chain.Head(1, first.link), writer, '{"n":2}')
    connection = await as_mysql_writer(mysql_sink)
    try:
        for statement in ("set timestamp = 1", "set time_zone = '+13:00'", "set autocommit = 0"):
            await connection.fetch(statement)
        made = (await connection.fetch(CALL, hexed(first))).dicts()
        await connection.fetch("rollback")
        await connection.fetch("set time_zone = '-11:00'")
        await connection.fetch("begin")
        assert len((await connection.fetch(CALL, hexed(second))).rows) == 1
        await connection.fetch("rollback")
    finally:
        await connection.aclose()
    assert abs(made[0]["at"].replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    async with mysql_sink.open(write=False) as ledger:
        found = await ledger.verify()
        assert [entry.seq for entry in await ledger.entries()] == [2, 1]
    assert found.ok


KEYS = (None, "", "é😀", "a:1,", ",64:", "k" * 200, "😀" * 200)


async def test_a_store_computes_the_hashes_of_the_chain(sink: Sink) -> None:
    """Of rows with and without what may be missing: a link that it finds otherwise is refused."""
    head = chain.Head(0, chain.START)
    async with sink.open() as ledger:
        table, writer = ledger._table, uuid4()
        seen = (await ledger.entries(limit=1))[0].seal
        for key in KEYS:
            for parent in (None, uuid4()):
                of = row(
                    head, writer, '{"é":"😀"}',
                    kind="intent", action_id=uuid4(), parent=parent,
                    idempotency_key=key if parent is None else None,
                )  # fmt: skip
                made = await table.append(of)
                sealed = chain.seal(of.link, seen, made.at, made.db_user, made.peer)
                assert (made.witness, made.seal) == (seen, sealed)
                head, seen = chain.Head(of.seq, of.link), made.seal
        assert (await ledger.verify()).ok


async def test_an_installer_without_superuser_owns_what_it_makes(postgres_sink: PostgresSink) -> None:
    """CREATEROLE and CREATE on the database are enough, on every version."""
    from console.audit.ledger import install

    server, name = postgres_sink.server, f"installer_{uuid4().hex[:8]}"
    database = await server.new_database()
    connection = await server.connect()
    try:
        await connection.execute(f"create role {name} login createrole password 'x'")
        await connection.execute(f"grant create on database {database} to {name}")
    finally:
        await connection.close()
    url = f"postgresql://{name}@:{server.port}/{database}?host={server.host}"
    made = await install(url, password=Secret("x"), writers=[APP], auditors=[APP])
    assert made[0].startswith("schema dbdeck_audit, owned by ")
    assert await install(url, password=Secret("x"), writers=[APP]) == [f"{APP} may append"]
    app = f"postgresql://{APP}@:{server.port}/{database}?host={server.host}"
    sink = PostgresSink(server, database, postgres_sink.journal)
    sink.url, sink.password = app, Secret(PASSWORDS[APP])
    async with sink.open() as ledger:
        assert (await ledger.verify()).ok
