"""Behind one address another server may answer: it is told, and what the head says is of it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.engine.open import open_engine
from console.errors import Unreachable
from console.model.deadlocks import DeadlockHistory
from console.model.tables import Table
from console.model.target import server_changes
from console.tui.panes.deadlocks import DeadlocksPane
from console.tui.screens import main
from tests.fakes import ScriptedEngine
from tests.servers.fleet import Server
from tests.servers.proxy import tcp_proxy
from tests.targets import target_of
from tests.tui.stage import Stage, shown, until


async def test_a_failover_is_told_though_no_read_failed(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await until(pilot, lambda: "STANDBY" not in stage.bar and "PostgreSQL" in stage.bar)
        here = stage.engine.server
        stage.engine.server = msgspec.structs.replace(here, system_id="other", primary=False)
        await until(pilot, lambda: "another server answers (id other" in stage.status)
        assert "no longer the primary" in stage.status
        assert "STANDBY" in stage.bar


async def test_no_view_shows_what_was_read_of_the_other_server(stage: Stage) -> None:
    stage.engine.shop = [Table(schema="public", name="orders")]
    async with shown(stage) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: bool(stage.main.pane.drawn))
        tables = stage.main.pane
        read_at = tables.reading.taken_at
        assert tables.every > 5, "its next turn is far away"
        hidden = asyncio.Event()
        read = tables.feed._read

        async def later() -> Any:
            await hidden.wait()
            return await read()

        tables.feed._read = later
        stage.engine.server = msgspec.structs.replace(stage.engine.server, system_id="other")
        await until(pilot, lambda: "another server answers" in stage.status)
        assert (tables.reading.data, tables.current, list(tables.drawn)) == (None, None, [])
        hidden.set()
        await until(pilot, lambda: bool(tables.drawn))
        assert tables.reading.taken_at != read_at


async def test_a_promotion_loses_no_connection_and_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.engine.server = msgspec.structs.replace(stage.engine.server, primary=False)
    stage.engine.connected_to = stage.engine.server
    monkeypatch.setattr(main, "_IDENTIFY_SECONDS", 0.5)
    async with shown(stage) as pilot:
        await until(pilot, lambda: "STANDBY" in stage.bar)
        stage.engine.server = msgspec.structs.replace(stage.engine.server, primary=True)
        await until(pilot, lambda: "it is a primary now" in stage.status and "STANDBY" not in stage.bar)


async def test_paused_locks_are_read_where_other_views_are_looked_at(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await until(pilot, lambda: "PostgreSQL" in stage.bar)
        await pilot.press("p", "9")
        await until(pilot, lambda: not stage.main.pane.of_server)
        await until(pilot, lambda: "live" in stage.bar)
        hang = asyncio.Event()
        stage.engine.before_read = hang.wait
        await until(pilot, lambda: "NO ANSWER" in stage.bar)
        hang.set()
        await until(pilot, lambda: "live" in stage.bar)
        stage.engine.server = msgspec.structs.replace(stage.engine.server, system_id="other")
        await until(pilot, lambda: "another server answers" in stage.status)
        await pilot.press("1")
        await until(pilot, lambda: "PAUSED" in stage.bar)


async def test_what_another_server_counted_is_no_news(stage: Stage) -> None:
    stage.engine.history = DeadlockHistory(deadlocks=(), counted=2)
    async with shown(stage) as pilot:
        pane = stage.main.query_one(DeadlocksPane)
        await until(pilot, lambda: pane.reading.data is not None)
        stage.engine.history = DeadlockHistory(deadlocks=(), counted=500)
        stage.engine.server = msgspec.structs.replace(stage.engine.server, system_id="other")
        await until(pilot, lambda: "another server answers" in stage.status)
        await until(pilot, lambda: pane.reading.data is not None and pane.reading.data.counted == 500)
        await pilot.pause()
        assert "another server answers" in stage.status
        stage.engine.history = DeadlockHistory(deadlocks=(), counted=501)
        pane.again()
        await until(pilot, lambda: "deadlock just happened" in stage.status)


async def test_the_operator_leaves_the_other_server_too(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await until(pilot, lambda: "ledger is open" in stage.status)
        dispatcher = stage.app.desk.dispatcher
        assert dispatcher is not None
        lifeboat = dispatcher.lifeboat(stage.main.target)
        await until(pilot, lambda: lifeboat._context is not None)
        before = lifeboat._context
        stage.engine.server = msgspec.structs.replace(stage.engine.server, system_id="other")
        await until(pilot, lambda: lifeboat._context not in (None, before))


def test_a_standby_that_took_over_is_no_restart() -> None:
    before = ScriptedEngine([]).server
    later = msgspec.structs.replace(before, started_at=before.started_at + timedelta(hours=1))
    assert "restarted at" in server_changes(before, later)
    assert "or another server of the same data" in server_changes(before, later)
    assert "restarted" not in server_changes(later, before)
    assert "another server of the same data answers" in server_changes(later, before)


async def test_the_same_server_is_told_nothing_of(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole seconds of its start may round to the next one."""
    monkeypatch.setattr(main, "_IDENTIFY_SECONDS", 0.1)
    async with shown(stage) as pilot:
        await until(pilot, lambda: "PostgreSQL" in stage.bar)
        here = stage.engine.server
        again = msgspec.structs.replace(here, started_at=here.started_at + timedelta(seconds=1))
        stage.engine.server = again
        await until(pilot, lambda: stage.main._identity is again)
        assert "ledger is open" in stage.status


async def test_a_connection_that_is_opened_again_is_another_one(any_server: Server, tmp_path: Path) -> None:
    async with tcp_proxy("127.0.0.1", any_server.port) as proxy:
        here = msgspec.structs.replace(target_of(any_server), host="127.0.0.1", port=proxy.port)
        async with open_engine(here) as engine:
            assert engine.answered_by is None
            await engine.locks()
            first = engine.answered_by
            assert first is not None
            await engine.locks()
            assert engine.answered_by is first
            proxy.kill()
            for _ in range(10):
                with contextlib.suppress(Unreachable):
                    await engine.locks()
                    break
            second = engine.answered_by
            assert second is not None
            assert second is not first
            assert server_changes(first, second) == ""
