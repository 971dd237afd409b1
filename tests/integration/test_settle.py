"""What no look at a server can decide: it stays undecided until a person says how it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from console.audit.ledger import open_ledger
from console.audit.record import Kind
from tests.command import Command
from tests.servers.postgres import PostgresServer
from tests.situations import scene


@pytest.fixture
def command(postgres18: PostgresServer, tmp_path: Path) -> Command:
    return Command(tmp_path, {"t": postgres18.target_dict()})


async def crashed(command: Command, postgres: PostgresServer) -> str:
    """The id of a rollback whose writer died after its step, and whose transaction is gone since."""
    async with scene(postgres) as shop:
        admin = await postgres.connect(database=shop.database)
        await admin.execute("begin; update orders set n = 1 where id = 1; prepare transaction 'pay-1'")
        planned = await command.run("plan", "transaction.rollback_prepared", "-t", "t", "--json", "gid=pay-1")
        assert planned.code == 0, planned
        url, journal = str(command.audit["url"]), Path(str(command.audit["journal"]))
        async with open_ledger(url, journal) as ledger:
            number = uuid4()
            body = {"action": "transaction.rollback_prepared", "target": "t", "operator": "o", "reason": "r"}
            await ledger.append(Kind.INTENT, number, {**body, "plan": planned.document})
            await ledger.append(Kind.STEP, number, {**body, "step": 1, "statement": "rollback"})
        await admin.execute("rollback prepared 'pay-1'")
        await admin.close()
    return str(number)


async def test_an_undecided_end_is_settled_by_a_persons_word(
    command: Command, postgres18: PostgresServer
) -> None:
    number = await crashed(command, postgres18)
    await asyncio.sleep(0.2)
    looked = await command.run("audit", "reconcile", "--json")
    assert (looked.code, looked.rows[0]["state"]) == (9, "undecidable"), looked
    half = await command.run("audit", "reconcile", "--action", number, "--as", "applied")
    assert (half.code, "--reason" in half.err) == (2, True)
    other = await command.run("audit", "reconcile", "--action", "none", "--as", "applied", "--reason", "x")
    assert (other.code, "no open action" in other.err) == (2, True)
    words = ["--action", number, "--as", "not-applied", "--reason", "the coordinator's log says committed"]
    said = await command.run("audit", "reconcile", *words, "--json")
    assert (said.code, said.rows[0]["state"]) == (0, "not_applied"), said
    assert "the coordinator's log" in said.rows[0]["summary"]
    assert (await command.run("audit", "open", "--json")).rows == []
    assert (await command.run("audit", "verify", "--json")).document["ok"] is True
