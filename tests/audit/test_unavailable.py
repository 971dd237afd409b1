"""A sink that is gone, silent, full, read-only or that swallows rows: AuditUnavailable, by name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import uuid4

import pytest

from console.audit.ledger import Ledger, inspect, install, open_ledger
from console.audit.record import Kind
from console.errors import AuditForbidden, AuditMissing, AuditUnavailable, PrivilegeMissing
from console.secrets import Secret
from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink
from tests.audit.test_journal import largest_file
from tests.servers.accounts import APP, MONITOR, OPERATOR, PASSWORDS
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy, tcp_proxy

ServerSink = PostgresSink | MysqlSink


async def refused(ledger: Ledger, *words: str) -> None:
    """An intent is refused, by the name of the sink and the reason."""
    with pytest.raises(AuditUnavailable) as caught:
        await ledger.append(Kind.INTENT, uuid4(), {"x": 1})
    for word in (ledger.sink, *words):
        assert word in caught.value.message


async def fill(ledger: Ledger, size: int) -> None:
    for _ in range(100):
        await ledger.append(Kind.NOTE, uuid4(), {"x": "y" * size})


async def recovers(ledger: Ledger) -> None:
    await ledger.append(Kind.INTENT, uuid4(), {"x": 1})
    found = await ledger.verify()
    assert found.faults == ()
    assert len(found.open_intents) == 1


def through(sink: ServerSink, proxy: Proxy, deadline: float) -> AbstractAsyncContextManager[Ledger]:
    scheme = "postgresql" if isinstance(sink, PostgresSink) else "mysql"
    url = f"{scheme}://{OPERATOR}@127.0.0.1:{proxy.port}/{sink.database}"
    return sink.open(url=url, deadline=deadline)


async def cut_wire(sink: ServerSink) -> None:
    async with tcp_proxy("127.0.0.1", sink.server.port) as proxy, through(sink, proxy, 1) as ledger:
        await ledger.append(Kind.NOTE, uuid4(), {})
        proxy.drop()
        await refused(ledger, str(proxy.port))
        assert not (await ledger.append_late(Kind.OUTCOME, uuid4(), {"status": "applied"})).recorded
        # Three where the intent was on its way when the wire was cut: it and its end wait too.
        assert ledger.pending in (1, 3)
        await refused(ledger, f"wait in the journal: {ledger.pending}")
        waiting = ledger.pending
        await proxy.listen()
        assert await ledger.flush() == waiting
        proxy.kill()
        await recovers(ledger)


async def silence(sink: ServerSink) -> None:
    async with tcp_proxy("127.0.0.1", sink.server.port) as proxy, through(sink, proxy, 0.5) as ledger:
        proxy.stall()
        started = asyncio.get_running_loop().time()
        await refused(ledger, "no")
        assert asyncio.get_running_loop().time() - started < 2
        proxy.resume()
        await recovers(ledger)


async def test_postgres_behind_a_cut_wire(postgres_sink: PostgresSink) -> None:
    await cut_wire(postgres_sink)


async def test_mysql_behind_a_cut_wire(mysql_sink: MysqlSink) -> None:
    await cut_wire(mysql_sink)


async def test_postgres_that_says_nothing(postgres_sink: PostgresSink) -> None:
    await silence(postgres_sink)


async def test_mysql_that_says_nothing(mysql_sink: MysqlSink) -> None:
    await silence(mysql_sink)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_is_not_there(scheme: str, journal: Path) -> None:
    with pytest.raises(AuditUnavailable, match=rf"{scheme}://dba@127.0.0.1:1/led"):
        async with open_ledger(f"{scheme}://dba@127.0.0.1:1/led", journal):
            pass


async def test_postgres_that_swallows_rows(postgres_sink: PostgresSink) -> None:
    async with postgres_sink.open() as ledger:
        await postgres_sink.execute(
            "create function public.eat() returns trigger language plpgsql as 'begin return null; end'",
            "create trigger eat before insert on {entry} for each row execute function public.eat()",
        )
        await refused(ledger, "swallowed")
        await postgres_sink.execute(
            "drop trigger eat on {entry}", "create rule eat as on insert to {entry} do instead nothing"
        )
        await refused(ledger)
        await postgres_sink.execute("drop rule eat on {entry}")
        for change in (
            "body := '{{}}'",
            "body := null",
            "body := new.body || ' '",
            "parent := new.writer",
            "at := new.at - interval '1 hour'",
            "seal := new.link",
            "kind := 'note'",
        ):
            await postgres_sink.execute(
                "create or replace function public.alter_it() returns trigger language plpgsql"
                f" as $$ begin new.{change}; return new; end $$",
                "create trigger eat before insert on {entry} for each row execute function public.alter_it()",
            )
            await refused(ledger, "altered")
            await postgres_sink.execute("drop trigger eat on {entry}")
        await recovers(ledger)


async def test_mysql_that_alters_rows(mysql_sink: MysqlSink) -> None:
    async with mysql_sink.open() as ledger:
        for change in (
            "body = '{{}}'",
            "body = null",
            "body = concat(new.body, ' ')",
            "parent = new.writer",
            "at = new.at - interval 1 hour",
            "seal = new.link",
            "kind = 'note'",
        ):
            await mysql_sink.execute(
                f"create trigger eat before insert on entry for each row set new.{change}"
            )
            await refused(ledger, "altered")
            await mysql_sink.execute("drop trigger eat")
        await recovers(ledger)


# What an append answers that is another one than dbdeck made, and that stores nothing.
NOT_THE_ROW = {
    "nothing": "where false",
    "the newest row": "order by e.id desc limit 1",
}
_FORGED_ON_POSTGRES = """create or replace function dbdeck_audit.append(_writer uuid, _seq bigint, _kind text,
    _action uuid, _parent uuid, _key text, _body text, _prev bytea, _link bytea) returns dbdeck_audit.entry
    language sql security definer set search_path = pg_catalog, pg_temp as $$ {answer} $$"""
_FORGED_ON_MYSQL = """create definer = dbdeck_audit_owner@localhost procedure append_entry(
    in _writer char(36), in _seq bigint unsigned, in _kind varchar(16), in _action char(36),
    in _parent char(36), in _key varbinary(800), in _body longblob, in _prev varbinary(32),
    in _link varbinary(32)) sql security definer {answer}"""


async def an_append_that_stores_nothing(sink: ServerSink, *replacing: str) -> None:
    """No answer of its is taken for a record, neither before an effect nor after it."""
    async with sink.open() as ledger:
        await ledger.append(Kind.NOTE, uuid4(), {})
        await sink.execute(*replacing)
        await refused(ledger, "no sure answer", "not the row that was sent")
        assert not (await ledger.append_late(Kind.OUTCOME, uuid4(), {"status": "applied"})).recorded
        waiting = ledger.pending
        await sink.install()
        assert await ledger.flush() == waiting == 3
        await recovers(ledger)


@pytest.mark.parametrize("answer", NOT_THE_ROW)
async def test_postgres_whose_append_stores_nothing(postgres_sink: PostgresSink, answer: str) -> None:
    text = f"select e.* from dbdeck_audit.entry e {NOT_THE_ROW[answer]}"
    await an_append_that_stores_nothing(postgres_sink, _FORGED_ON_POSTGRES.replace("{answer}", text))


@pytest.mark.parametrize("answer", [*NOT_THE_ROW, "no rows", "other columns"])
async def test_mysql_whose_append_stores_nothing(mysql_sink: MysqlSink, answer: str) -> None:
    other = {"no rows": "begin end", "other columns": "select 1 as one"}
    text = other.get(answer) or f"select e.* from entry e {NOT_THE_ROW[answer]}"
    await an_append_that_stores_nothing(
        mysql_sink,
        "drop procedure append_entry",
        _FORGED_ON_MYSQL.replace("{answer}", text),
        f"grant execute on procedure append_entry to {OPERATOR}, dbdeck_audit_owner@localhost",
    )


async def test_sqlite_that_swallows_rows(sqlite: SqliteSink) -> None:
    async with sqlite.open() as ledger:
        eat = "create trigger eat before insert on entry begin select raise(ignore); end"
        await sqlite.execute(eat)
        await refused(ledger, "swallowed")
        await sqlite.execute("drop trigger eat")
        await recovers(ledger)


async def test_postgres_that_is_read_only(postgres_sink: PostgresSink) -> None:
    name = postgres_sink.database
    await postgres_sink.execute(f"alter database {name} set default_transaction_read_only = on")
    with pytest.raises(AuditUnavailable, match="read-only"):
        async with postgres_sink.open():
            pass
    await postgres_sink.execute("set default_transaction_read_only = off", f"alter database {name} reset all")
    async with postgres_sink.open() as ledger:
        await recovers(ledger)


async def test_mysql_that_is_read_only(mysql_sink: MysqlSink) -> None:
    async with mysql_sink.open() as ledger:
        await mysql_sink.execute("set global read_only = 1")
        try:
            await refused(ledger, "--read-only")
        finally:
            await mysql_sink.execute("set global read_only = 0")
        await recovers(ledger)


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def can_mount() -> bool:
    attempt = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(attempt, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
async def test_sqlite_on_a_full_and_on_a_read_only_disk(disk: Path, journal: Path) -> None:
    folder = disk / "small"
    with mounted(folder, "-t", "tmpfs", "-o", "size=400k,mode=0700", "tmpfs"):
        async with open_ledger(f"sqlite:///{folder}/audit.db", journal) as ledger:
            with pytest.raises(AuditUnavailable, match="full"):
                await fill(ledger, 20_000)
            assert not (await ledger.append_late(Kind.OUTCOME, uuid4(), {"x": "y" * 20_000})).recorded
            subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
            assert await ledger.flush() == 1
            await recovers(ledger)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(AuditUnavailable, match=r"audit\.db .*read-only"):
            async with open_ledger(f"sqlite:///{folder}/audit.db", journal):
                pass


async def test_sqlite_beyond_a_file_limit(sqlite: SqliteSink) -> None:
    async with sqlite.open() as ledger:
        with largest_file(300_000), pytest.raises(AuditUnavailable, match=r"audit\.db"):
            await fill(ledger, 1000)
        await recovers(ledger)


async def test_sqlite_that_was_deleted_or_is_locked(sqlite: SqliteSink) -> None:
    async with sqlite.open(deadline=2.0) as ledger:
        sqlite.path.rename(sqlite.path.with_suffix(".away"))
        await refused(ledger, "No such file")
        sqlite.path.with_suffix(".away").rename(sqlite.path)
        with contextlib.closing(sqlite3.connect(sqlite.path, isolation_level=None)) as locker:
            locker.execute("begin immediate")
            await refused(ledger, "locked")
        await recovers(ledger)


async def test_sqlite_that_others_may_use_or_that_is_none(sqlite: SqliteSink) -> None:
    with pytest.raises(AuditUnavailable, match="none yet") as caught:
        async with sqlite.open(write=False):
            pass
    assert "audit init" in caught.value.hint
    sqlite.path.write_text("no database, but long enough to be taken for one" * 20)
    sqlite.path.chmod(0o600)
    with pytest.raises(AuditUnavailable, match="not a database"):
        async with sqlite.open():
            pass
    sqlite.path.unlink()
    assert await install(sqlite.url) == [f"the ledger file {sqlite.path}"]
    assert await install(sqlite.url) == []
    sqlite.path.chmod(0o644)
    with pytest.raises(AuditUnavailable, match="0644"):
        async with sqlite.open():
            pass


async def test_a_journal_that_is_deleted_stops_intents(sink: Sink) -> None:
    async with sink.open() as ledger:
        path = sink.journal / f"{ledger.writer}.ndjson"
        content = await asyncio.to_thread(path.read_bytes)
        path.unlink()
        with pytest.raises(AuditUnavailable, match=path.name):
            await ledger.append(Kind.INTENT, uuid4(), {})
        assert (await ledger.append_late(Kind.OUTCOME, uuid4(), {"status": "applied"})).recorded
        await asyncio.to_thread(path.write_bytes, content)
        assert (await ledger.verify()).ok


async def no_ledger(url: str, journal: Path, password: str) -> None:
    with pytest.raises(AuditUnavailable) as caught:
        async with open_ledger(url, journal, password=Secret(password)):
            pass
    assert "audit init" in caught.value.hint


async def test_postgres_without_a_ledger(postgres_sink: PostgresSink, journal: Path) -> None:
    at = f"{OPERATOR}@:{postgres_sink.server.port}/postgres?host={postgres_sink.server.host}"
    await no_ledger(f"postgresql://{at}", journal, PASSWORDS[OPERATOR])


async def test_mysql_without_a_ledger(mysql_sink: MysqlSink, journal: Path) -> None:
    at = f"{OPERATOR}@127.0.0.1:{mysql_sink.server.port}/performance_schema"
    await no_ledger(f"mysql://{at}", journal, PASSWORDS[OPERATOR])


async def writes_but_cannot_read(url: str, sink: ServerSink) -> None:
    async with open_ledger(url, sink.journal, password=Secret(PASSWORDS[APP])) as ledger:
        action = uuid4()
        await ledger.append(Kind.INTENT, action, {}, idempotency_key="k")
        assert [one.action_id for one in await ledger.open_intents()] == [action]
        assert await ledger.find_idempotency("k") == action
        with pytest.raises(PrivilegeMissing):
            await ledger.entries()
        with pytest.raises(PrivilegeMissing):
            await ledger.verify()
    async with sink.open(write=False) as auditor:
        assert (await auditor.verify()).ok
        assert (await auditor.entries(action_id=action))[0].db_user.startswith(APP)


async def test_a_writer_on_postgres_cannot_read(postgres_sink: PostgresSink) -> None:
    await writes_but_cannot_read(f"postgresql://{APP}@{postgres_sink.at}", postgres_sink)


async def test_a_writer_on_mysql_cannot_read(mysql_sink: MysqlSink) -> None:
    await writes_but_cannot_read(f"mysql://{APP}@{mysql_sink.at}", mysql_sink)


async def without_its_ledger_table(sink: ServerSink, name: str) -> None:
    async with sink.open() as ledger:
        await ledger.append(Kind.STEP, action := uuid4(), {"n": 1})
        old = ledger.id
    await sink.execute(f"drop table {name}")
    with pytest.raises(AuditMissing):
        async with sink.open():
            pass
    assert "with a new id" in (await sink.install())[0]
    async with sink.open() as ledger:
        await ledger.append(Kind.STEP, action, {"n": 2})
        assert len(await ledger.entries(action_id=action)) == 2
        assert ledger.id != old
    assert not any("new id" in one for one in await sink.install())
    assert [part for part in await sink.parts() if part.is_wrong] == []


async def test_postgres_whose_ledger_table_is_gone_is_repaired(postgres_sink: PostgresSink) -> None:
    await without_its_ledger_table(postgres_sink, "dbdeck_audit.ledger")


async def test_mysql_whose_ledger_table_is_gone_is_repaired(mysql_sink: MysqlSink) -> None:
    await without_its_ledger_table(mysql_sink, "ledger")


async def only_reads(url: str, sink: ServerSink) -> None:
    """As `audit reconcile` by an auditor."""
    with pytest.raises(AuditForbidden) as caught:
        async with open_ledger(url, sink.journal, password=Secret(PASSWORDS[MONITOR])):
            pass
    assert "a login that may append" in caught.value.hint
    async with open_ledger(url, sink.journal, password=Secret(PASSWORDS[MONITOR]), write=False) as ledger:
        assert (await ledger.verify()).ok


async def test_an_auditor_on_postgres_cannot_write(postgres_sink: PostgresSink) -> None:
    await install(postgres_sink.admin, auditors=[MONITOR])
    await only_reads(f"postgresql://{MONITOR}@{postgres_sink.at}", postgres_sink)


async def test_an_auditor_on_mysql_cannot_write(mysql_sink: MysqlSink) -> None:
    await install(mysql_sink.admin, auditors=[f"{MONITOR}@%"])
    await only_reads(f"mysql://{MONITOR}@{mysql_sink.at}", mysql_sink)


async def untrusted(url: str, journal: Path) -> str:
    with pytest.raises(AuditUnavailable) as caught:
        async with open_ledger(url, journal, password=Secret("x")):
            pass
    for asked in (install(url, password=Secret("x")), inspect(url, password=Secret("x"))):
        with pytest.raises(AuditUnavailable) as again:
            await asked
        assert again.value.hint == caught.value.hint
    return caught.value.hint


async def test_postgres_whose_certificate_is_not_trusted(postgres_tls: PostgresServer, journal: Path) -> None:
    url = f"postgresql://{OPERATOR}@127.0.0.1:{postgres_tls.port}/postgres?tls=verify-full"
    assert "`ca` has to name" in await untrusted(url, journal)


async def test_postgres_that_offers_no_tls(postgres18: PostgresServer, journal: Path) -> None:
    url = f"postgresql://{OPERATOR}@127.0.0.1:{postgres18.port}/postgres?tls=require"
    assert "enable TLS on the server" in await untrusted(url, journal)


async def test_mysql_whose_certificate_is_not_trusted(mysql_sink: MysqlSink, journal: Path) -> None:
    url = mysql_sink.url.partition("&ca=")[0]
    assert "`ca` has to name" in await untrusted(url, journal)


async def test_a_ledger_is_made_once(postgres_sink: PostgresSink) -> None:
    assert await postgres_sink.install() == [
        f"{OPERATOR} may append",
        f"{APP} may append",
        f"{OPERATOR} may read",
    ]


async def test_a_ledger_is_made_once_on_mysql(mysql_sink: MysqlSink) -> None:
    assert await mysql_sink.install() == [
        f"{OPERATOR} may append",
        f"{APP}@% may append",
        f"{OPERATOR} may read",
    ]


async def test_postgres_that_waits_for_a_standby(postgres_sink: PostgresSink) -> None:
    """The commit is neither done nor undone, and no statement_timeout reaches it."""
    try:
        async with postgres_sink.open(deadline=0.5) as ledger:
            await synchronous_standby(postgres_sink, "nobody")
            await refused(ledger)
            receipt = await ledger.append_late(Kind.OUTCOME, uuid4(), {"status": "applied"})
            waiting = ledger.pending
            await synchronous_standby(postgres_sink, "")
            assert await ledger.flush() == waiting
            await recovers(ledger)
    finally:
        await synchronous_standby(postgres_sink, "")
    assert not receipt.recorded
    async with postgres_sink.open(write=False) as reader:
        kinds = [row.kind for row in await reader.entries(newest_first=False)]
    assert kinds == ["open", "intent", "resolved", "outcome", "intent", "close"]


async def synchronous_standby(sink: PostgresSink, name: str) -> None:
    await sink.execute(
        "set synchronous_commit = local",
        f"alter system set synchronous_standby_names = '{name}'",
        "select pg_reload_conf()",
        "select pg_sleep(0.2)",
    )


async def test_a_database_that_is_not_utf8(postgres18: PostgresServer) -> None:
    connection = await postgres18.connect()
    name = f"latin_{uuid4().hex[:8]}"
    try:
        await connection.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    finally:
        await connection.close()
    with pytest.raises(AuditUnavailable, match="LATIN1"):
        await install(f"postgresql://{postgres18.superuser}@:{postgres18.port}/{name}?host={postgres18.host}")
