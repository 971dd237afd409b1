"""What Overview tells of replication slots: WAL that nobody reads, that is about to go, and that is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from console.engine.open import open_engine
from tests.command import Command
from tests.integration.actions.conftest import superuser
from tests.integration.actions.test_slot_drop import drop_all
from tests.servers.fleet import Server
from tests.servers.postgres import PostgresServer
from tests.targets import target_of


@pytest_asyncio.fixture
async def server(postgres: PostgresServer) -> AsyncIterator[PostgresServer]:
    yield postgres
    await superuser(
        postgres, "alter system reset max_slot_wal_keep_size", "select pg_reload_conf()", "select 1"
    )
    await drop_all(postgres)


async def overview(server: PostgresServer, folder: Path, unread: float = 10.0) -> dict[str, Any]:
    command = Command(folder, {"t": server.target_dict()})
    audit = {"audit": command.audit, "targets": {"t": server.target_dict()}}
    command.write({**audit, "thresholds": {"unread_wal": unread}})
    done = await command.run("show", "overview", "--json")
    assert done.code == 0, done.err
    (row,) = done.rows
    return row


def told(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["trouble"], one["text"]) for one in row["reasons"] if "slot" in one["text"]]


async def switch(server: PostgresServer) -> None:
    """Onto the next segment: a switch right after one does nothing."""
    await superuser(server, "select pg_logical_emit_message(false, 'test', 'x')", "select pg_switch_wal()")


async def test_a_slot_that_nobody_reads_is_told_once_it_keeps_much(
    server: PostgresServer, tmp_path: Path
) -> None:
    await superuser(server, "select pg_create_physical_replication_slot('gone', true)")
    for _ in range(3):
        await switch(server)
    seen = await overview(server, tmp_path)
    assert told(seen) == []
    (slot,) = seen["slots"]
    assert (slot["name"], slot["active"], slot["wal_status"]) == ("gone", False, "reserved")
    assert slot["retained_bytes"] > 32 << 20
    ((trouble, text),) = told(await overview(server, tmp_path, unread=0.001))
    assert trouble == "warn"
    assert text.startswith("unread slot keeps ")
    assert "of WAL: gone" in text


async def test_a_slot_is_told_before_its_wal_goes_and_after(server: PostgresServer, tmp_path: Path) -> None:
    await superuser(
        server,
        "alter system set max_slot_wal_keep_size = '64MB'",
        "select pg_reload_conf()",
        "checkpoint",
        "select pg_create_physical_replication_slot('late', true)",
    )
    assert told(await overview(server, tmp_path)) == []
    seen = []
    for _ in range(8):
        await switch(server)
        row = await overview(server, tmp_path)
        seen += told(row)
        if row["slots"][0]["wal_status"] == "unreserved":
            break
    assert seen[0] == ("warn", seen[0][1])
    assert seen[0][1].startswith("slot lost in ")
    assert seen[-1] == ("bad", "slot about to lose WAL: late, at the next checkpoint")
    await superuser(server, "checkpoint")
    row = await overview(server, tmp_path)
    reason = f" ({row['slots'][0]['invalidation']})" if row["slots"][0]["invalidation"] else ""
    assert told(row) == [("bad", f"slot lost{reason}: late; its reader has to be rebuilt")]
    assert row["slots"][0]["retained_bytes"] is None


async def test_where_slots_may_not_be_read_they_are_unknown(server: PostgresServer, tmp_path: Path) -> None:
    call = "function pg_get_replication_slots()"
    await superuser(server, f"revoke execute on {call} from public")
    try:
        seen = await overview(server, tmp_path)
    finally:
        await superuser(server, f"grant execute on {call} to public")
    assert seen["slots"] is None
    assert any(why.startswith("replication slots: ") for why in seen["unknown"]), seen["unknown"]


async def test_an_engine_without_slots_has_none(any_server: Server) -> None:
    async with open_engine(target_of(any_server)) as engine:
        assert await engine.slots() == ()
