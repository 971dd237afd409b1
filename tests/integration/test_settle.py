"""What no look at a server can decide: it stays undecided until a person says how it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from actions.settings import SetSetting
from console.audit.ledger import open_ledger
from console.audit.record import Kind
from console.dispatch.action import Plan
from console.dispatch.dispatcher import locks_of
from console.dispatch.intents import plan_of
from console.engine.open import open_operator
from tests.command import Command
from tests.servers.accounts import APP
from tests.servers.postgres import PostgresServer
from tests.situations import scene
from tests.targets import target_of


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


async def test_nothing_is_settled_as_undone_while_the_dead_runs_session_is_there(
    command: Command, postgres18: PostgresServer
) -> None:
    """It holds the run's lock, and what it was sent may come into effect when what it waits for ends."""
    number, plan = await died_setting(command, postgres18)
    target = target_of(postgres18)
    async with open_operator(target) as session:
        for name in locks_of(SetSetting(), plan):
            assert await session.hold(name) is None
        looked = await command.run("audit", "reconcile", "--json")
        assert (looked.code, looked.rows[0]["state"]) == (9, "undecidable"), looked
        assert "its session may still be at work: its lock is held by" in looked.rows[0]["summary"]
    settled = await command.run("audit", "reconcile", "--json")
    assert (settled.code, settled.rows[0]["action_id"]) == (0, number), settled
    assert settled.rows[0]["state"] == "not_applied"


async def test_what_is_done_is_settled_whoever_holds_its_lock(
    command: Command, postgres18: PostgresServer
) -> None:
    _, plan = await died_setting(command, postgres18)
    admin = await postgres18.connect()
    await admin.execute(f"alter role {APP} set work_mem = '9MB'")
    async with open_operator(target_of(postgres18)) as session:
        for name in locks_of(SetSetting(), plan):
            assert await session.hold(name) is None
        looked = await command.run("audit", "reconcile", "--json")
    await admin.execute(f"alter role {APP} reset work_mem")
    await admin.close()
    assert (looked.code, looked.rows[0]["state"]) == (0, "applied"), looked


async def died_setting(command: Command, postgres: PostgresServer) -> tuple[str, Plan]:
    """The id and the plan of a change whose writer died after its step, and before it was sent."""
    words = ("plan", "setting.set", "-t", "t", "--json", "name=work_mem", "value=9MB", f"role={APP}")
    planned = await command.run(*words)
    assert planned.code == 0, planned
    url, journal = str(command.audit["url"]), Path(str(command.audit["journal"]))
    number = uuid4()
    async with open_ledger(url, journal) as ledger:
        body = {"action": "setting.set", "target": "t", "operator": "o", "reason": "r"}
        await ledger.append(Kind.INTENT, number, {**body, "plan": planned.document})
        await ledger.append(Kind.STEP, number, {**body, "step": 1, "statement": "alter role"})
    return str(number), plan_of({"plan": planned.document})
