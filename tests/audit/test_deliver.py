"""What a writer could not deliver, the next one does; and what else a failing ledger must not do."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from uuid import uuid4

import pytest

from console.audit.record import Kind
from console.audit.writer import draft
from console.errors import AuditUnavailable, PrivilegeMissing, UsageError
from tests.audit.sinks import PostgresSink, SqliteSink
from tests.audit.test_unavailable import through
from tests.servers.accounts import OPERATOR
from tests.servers.proxy import tcp_proxy


async def test_an_outcome_that_waits_is_delivered_by_the_next_writer(sqlite: SqliteSink) -> None:
    action = uuid4()
    with contextlib.closing(sqlite3.connect(sqlite.path.parent / "audit.db", isolation_level=None)) as locker:
        sqlite.path.chmod(0o600)
        async with sqlite.open(deadline=0.3) as ledger:
            await ledger.append(Kind.INTENT, action, {})
            locker.execute("begin immediate")
            assert not (await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})).recorded
            locker.execute("rollback")
            async with sqlite.open() as other:  # its writer lives and delivers it itself
                assert [one.action_id for one in await other.open_intents()] == [action]
    async with sqlite.open() as later:
        assert await later.open_intents() == []
        assert (await later.verify()).faults == ()
    assert '"ack"' in (sqlite.journal / f"{ledger.writer}.ndjson").read_text().splitlines()[-1]


async def test_the_same_on_postgres_that_hangs_and_the_goodbye_is_short(postgres_sink: PostgresSink) -> None:
    action = uuid4()
    async with tcp_proxy("127.0.0.1", postgres_sink.server.port) as proxy:
        async with through(postgres_sink, proxy, 1) as ledger:
            await ledger.append(Kind.INTENT, action, {})
            proxy.stall()
            assert not (await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})).recorded
            started = time.monotonic()
        assert time.monotonic() - started < 1.5
    async with postgres_sink.open() as later:
        assert await later.open_intents() == []
        assert (await later.verify()).faults == ()


async def test_a_hanging_ledger_gets_a_short_goodbye(postgres_sink: PostgresSink) -> None:
    async with tcp_proxy("127.0.0.1", postgres_sink.server.port) as proxy:
        async with through(postgres_sink, proxy, 5):
            proxy.stall()
            started = time.monotonic()
        assert time.monotonic() - started < 1.5


async def test_a_writer_without_rights_is_a_sink_that_fails(postgres_sink: PostgresSink) -> None:
    await postgres_sink.execute(f"revoke usage on schema dbdeck_audit from {OPERATOR}")
    with pytest.raises(AuditUnavailable) as caught:
        async with postgres_sink.open():
            pass
    assert postgres_sink.database in caught.value.message
    assert "audit init" in caught.value.hint
    with pytest.raises(PrivilegeMissing):
        async with postgres_sink.open(write=False):
            pass


async def test_a_dropped_table_is_not_made_again(sqlite: SqliteSink) -> None:
    async with sqlite.open():
        pass
    await sqlite.execute("drop table entry")
    with pytest.raises(AuditUnavailable, match="dropped"):
        async with sqlite.open():
            pass


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_a_key_has_a_length(key: str) -> None:
    with pytest.raises(UsageError, match="1 to 200"):
        draft(Kind.INTENT, uuid4(), {}, None, key)
