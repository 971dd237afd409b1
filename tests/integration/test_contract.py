"""One body for all engines: what a port promises, and what the headless command makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from console.engine.open import open_engine, open_operator
from console.engine.port import Engine
from console.model.blocking import LockNode
from console.model.sessions import State
from tests.command import Command
from tests.servers.fleet import Server
from tests.situations import Scene, scene
from tests.targets import target_of


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest_asyncio.fixture
async def engine(any_server: Server) -> AsyncIterator[Engine]:
    async with open_engine(target_of(any_server)) as opened:
        yield opened


@pytest.fixture
def command(any_server: Server, tmp_path: Path) -> Command:
    return Command(tmp_path, {"t": any_server.target_dict()})


async def nodes_of(engine: Engine, waiting: int) -> dict[int, LockNode]:
    """The wait graph once that many sessions wait."""
    for _ in range(100):
        nodes = await engine.locks()
        if sum(1 for node in nodes if node.edge) >= waiting:
            return {node.session.id: node for node in nodes}
        await asyncio.sleep(0.1)
    raise AssertionError(f"never saw {waiting} waiters, last {nodes}")


async def test_a_chain_shows_its_idle_root_and_who_waits_for_whom(shop: Scene, engine: Engine) -> None:
    clients = await shop.chain(4)
    nodes = await nodes_of(engine, 3)
    ids = [client.id for client in clients]
    assert set(nodes) == set(ids)
    for client, blocker in zip(clients[1:], clients, strict=False):
        assert nodes[client.id].blocked_by == (blocker.id,)
        assert nodes[client.id].edge == "hard"
        assert (nodes[client.id].wait_seconds or 0) > 0
    root = nodes[ids[0]]
    assert (root.root, root.blocks, root.releases, root.edge) == (True, 3, 3, None)
    assert root.session.state is State.IDLE_IN_TRANSACTION
    assert root.session.transaction_seconds is not None
    assert "orders" in (nodes[ids[1]].object or "")


async def test_the_tree_is_in_drawing_order_roots_first(shop: Scene, engine: Engine) -> None:
    clients = await shop.chain(3)
    await nodes_of(engine, 2)
    nodes = await engine.locks()
    assert [node.session.id for node in nodes] == [client.id for client in clients]
    assert [node.depth for node in nodes] == [0, 1, 2]


async def test_a_queue_on_one_row_keeps_its_order(shop: Scene, engine: Engine) -> None:
    root = await shop.holder(7)
    waiters = [await shop.waiter(7) for _ in range(4)]
    nodes = await nodes_of(engine, 4)
    assert nodes[root.id].blocks == 4
    assert root.id in nodes[waiters[0].id].blocked_by
    for earlier, later in pairwise(waiters):
        assert earlier.id in nodes[later.id].blocked_by


async def test_nobody_waits_is_an_empty_answer(any_server: Server, engine: Engine) -> None:
    assert await engine.locks() == ()


async def test_sessions_have_a_key_that_stays(shop: Scene, engine: Engine) -> None:
    client = await shop.holder(1, "stays")
    first = await engine.session(client.id)
    second = await engine.session(client.id)
    assert first is not None
    assert second is not None
    assert first.key == second.key
    assert first.key is not None
    assert first.user == "app_user"
    assert await engine.session(2_000_000_000) is None


async def test_our_own_connections_are_named_and_protected(engine: Engine) -> None:
    ours = [one for one in await engine.sessions() if one.application == "dbdeck"]
    assert ours
    assert all(one.protection for one in ours)


async def test_an_operators_lock_excludes_another_and_names_its_holder(any_server: Server) -> None:
    target = target_of(any_server)
    async with open_operator(target) as one, open_operator(target) as other:
        assert await one.hold("session:1") is None
        holder = await other.hold("session:1")
        assert holder is not None
        assert "dbdeck operator" in holder
        await one.let_go("session:1")
        assert await other.hold("session:1") is None


async def test_terminate_ends_the_root_and_the_waiters_drain(shop: Scene, command: Command) -> None:
    clients = await shop.chain(4)
    await asyncio.sleep(0.3)
    root = await command.root()
    assert root["id"] == clients[0].id
    done = await command.apply("session.terminate", root)
    assert done.code == 0, done
    run = done.document
    assert (run["effect"], run["error"]) == ("applied", None)
    assert run["intent"] < run["outcome"]
    assert run["verify"]["evidence"]["waiters_before"] == 3
    assert run["verify"]["evidence"]["waiters_released"] == 3
    assert await command.kinds() == ["intent", "step", "outcome"]
    assert (await command.run("audit", "verify", "--json")).document["ok"] is True
    assert (await command.run("show", "locks", "-t", "t", "--json")).rows == []


async def test_cancel_stops_the_statement_and_the_session_stays(
    shop: Scene, engine: Engine, command: Command
) -> None:
    await shop.holder(1)
    waiter = await shop.waiter(1)
    await nodes_of(engine, 1)
    session = await engine.session(waiter.id)
    assert session is not None
    assert session.started_at is not None
    key = {"id": session.id, "started_at": session.started_at.isoformat()}
    done = await command.apply("session.cancel", key)
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    after = await engine.session(waiter.id)
    assert after is not None
    assert after.state is not State.ACTIVE


async def test_cancel_of_an_idle_transaction_is_refused_with_the_reason(
    shop: Scene, engine: Engine, command: Command
) -> None:
    holder = await shop.holder(1)
    session = await engine.session(holder.id)
    assert session is not None
    assert session.started_at is not None
    key = {"id": holder.id, "started_at": session.started_at.isoformat()}
    done = await command.apply("session.cancel", key)
    assert (done.code, done.document["effect"]) == (4, "none")
    assert "idle in transaction" in done.err
    assert "intent" not in await command.kinds()


async def test_a_stale_key_changes_nothing_and_says_what_changed(shop: Scene, command: Command) -> None:
    clients = await shop.chain(2)
    await asyncio.sleep(0.3)
    root = await command.root()
    other = await command.apply("session.terminate", {**root, "started_at": "2001-01-01T00:00:00Z"})
    gone = await command.apply("session.terminate", {**root, "id": 2_000_000_000})
    assert [other.code, gone.code] == [6, 6]
    assert "another session" in other.err
    assert "gone" in gone.err
    assert (await command.root())["id"] == clients[0].id
    assert "intent" not in await command.kinds()


async def test_hostile_text_is_shown_safely(shop: Scene, engine: Engine, command: Command) -> None:
    await shop.holder(3)
    client = await shop.client("evil [red]\x1b[31m")
    client.wait(touch_hostile())
    await nodes_of(engine, 1)
    text = await command.run("show", "locks", "-t", "t")
    document = await command.run("show", "locks", "-t", "t", "--json")
    sessions = await command.run("show", "sessions", "-t", "t", "--csv")
    for done in (text, document, sessions):
        assert done.code == 0
        assert all(char.isprintable() or char in "\r\n" for char in done.out), ascii(done.out)
    assert any("\x1b[2J" in (row["query"] or "") for row in document.rows)


def touch_hostile() -> str:
    comment = "/* \x1b[2J [bold]x[/] \u202e" + "y" * 100_000 + " */"
    return f"update orders set n = n + 1 where id = 3 {comment}"


async def test_a_read_only_target_refuses_actions(any_server: Server, tmp_path: Path) -> None:
    target = any_server.target_dict()
    del target["operator"]
    command = Command(tmp_path, {"t": target})
    done = await command.apply("session.terminate", {"id": 1, "started_at": "2001-01-01T00:00:00Z"})
    assert done.code == 4
    assert "operator" in done.err


async def test_doctor_names_the_server_our_load_and_no_missing_grant(command: Command) -> None:
    done = await command.run("doctor", "-t", "t", "--json")
    assert done.code == 0, done
    checks = {check["name"]: check for check in done.rows[-1]["checks"]}
    vital = [check for check in done.rows[-1]["checks"] if check["vital"]]
    assert vital
    assert all(check["ok"] for check in vital)
    assert checks["monitor cannot act"]["ok"] is True
    assert "ms" in checks["load of one poll"]["detail"]
    assert checks["operator"]["ok"] is True
