"""What an outcome says of statistics is on the server's disk, though no single commit waited for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import actions
from actions import work
from console.audit.ledger import open_ledger
from console.dispatch import scratch
from console.dispatch.action import Approval, Plan, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.reconcile import reconcile
from console.dispatch.registry import Registry
from console.dispatch.scratch import ScratchServer, scratch_postgres
from console.engine.open import open_engine
from console.errors import Exit
from console.model.policy import Policy
from console.model.target import EngineKind, Environment, Login, Target, TlsMode

# So slow that nothing but a commit that waits writes WAL, unless the buffers are full.
SLOW = {"autovacuum": "off", "wal_writer_delay": "10s", "checkpoint_timeout": "1h", "wal_buffers": "16MB"}
TABLES = 12


async def ask(server: ScratchServer, *statements: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=server.superuser, database="postgres"
    )
    try:
        rows = []
        for sql in statements:
            rows = await connection.fetch(sql)
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


def target(server: ScratchServer, operator: str) -> Target:
    return Target(
        name="shop",
        engine=EngineKind.POSTGRES,
        host=str(server.socket_dir),
        port=server.port,
        database="postgres",
        environment=Environment.DEV,
        tls=TlsMode.OFF,
        monitor=Login(user=server.superuser),
        operator=Login(user=operator),
    )


class Desk:
    def __init__(self, server: ScratchServer, folder: Path, operator: str) -> None:
        self.server, self.folder, self.operator = server, folder, operator
        self.heard: list[str] = []

    async def run(self, name: str = "table.analyze", **given: Any) -> Run:
        async with self._dispatcher() as (dispatcher, engine):
            return await self._apply(dispatcher, engine, await dispatcher.plan(name, engine, given))

    async def resume(self, run: Run) -> tuple[Plan, Run]:
        """What its server left in the dark is looked at first, as by `dbdeck audit reconcile`."""
        async with self._dispatcher() as (dispatcher, engine):
            await reconcile(dispatcher.ledger, dispatcher.registry, [engine.target])
            plan = await dispatcher.resume(run.action_id, engine)
            return plan, await self._apply(dispatcher, engine, plan)

    async def _apply(self, dispatcher: Dispatcher, engine: Any, plan: Plan) -> Run:
        watch = Watch(seconds=0, tell=self.heard.append)
        return await dispatcher.apply(plan, engine, Approval(reason="a test"), watch=watch)

    @asynccontextmanager
    async def _dispatcher(self) -> AsyncIterator[tuple[Dispatcher, Any]]:
        async with (
            open_ledger(f"sqlite:///{self.folder}/audit.db", self.folder / "journal") as ledger,
            open_engine(target(self.server, self.operator)) as engine,
        ):
            dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())
            try:
                yield dispatcher, engine
            finally:
                await dispatcher.close()


@asynccontextmanager
async def shop(folder: Path, operator: str = "postgres", **settings: str) -> AsyncIterator[Desk]:
    async with scratch_postgres(settings=SLOW | settings) as server:
        rows = "as select g, g % 7 as n from generate_series(1, 50) g"
        tables = [f"create table t{n} {rows}" for n in range(TABLES)]
        await ask(server, *tables, "checkpoint")
        yield Desk(server, folder, operator)


async def with_statistics(server: ScratchServer) -> int:
    rows = await ask(server, "select count(distinct tablename) from pg_stats where tablename ~ '^t[0-9]+$'")
    return int(rows[0][0])


async def test_the_disk_has_all_of_it_before_the_outcome(tmp_path: Path) -> None:
    async with shop(tmp_path) as desk:
        run = await desk.run(all=True, jobs=3)
        await scratch.restart(desk.server, "immediate")
        assert (run.exit, run.effect) == (Exit.OK, "applied")
        assert await with_statistics(desk.server) == TABLES


async def test_no_commit_of_many_waits_but_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop(tmp_path) as desk:
        seen: list[bool] = []
        settle = work.Work.settle

        async def behind(one: work.Work, statement: Any) -> None:
            seen.append(await _flushed(desk.server))
            await settle(one, statement)
            seen.append(await _flushed(desk.server))

        monkeypatch.setattr(work.Work, "settle", behind)
        await desk.run(all=True, jobs=2)
        assert seen == [False, True]


async def _flushed(server: ScratchServer) -> bool:
    rows = await ask(server, "select pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()")
    return bool(rows[0][0])


async def test_a_login_whose_commits_never_wait_has_this_one_wait(tmp_path: Path) -> None:
    async with shop(tmp_path, synchronous_commit="off") as desk:
        run = await desk.run("table.vacuum", all=True, analyze=True)
        await scratch.restart(desk.server, "immediate")
        assert run.exit is Exit.OK
        assert await with_statistics(desk.server) == TABLES


async def test_one_table_waits_for_the_disk_by_itself(tmp_path: Path) -> None:
    async with shop(tmp_path) as desk:
        run = await desk.run(table="t1")
        await scratch.restart(desk.server, "immediate")
        assert run.statements == ('analyze "public"."t1"',)
        assert await with_statistics(desk.server) == 1


async def test_what_a_crash_took_back_is_not_claimed_and_done_again(tmp_path: Path) -> None:
    async with shop(tmp_path, operator="keeper") as desk:
        owned = [f"alter table t{n} owner to keeper" for n in range(TABLES)]
        closed = "revoke execute on function pg_logical_emit_message(bool, text, text, bool) from public"
        await ask(desk.server, "create role keeper login", *owned, closed, "checkpoint")
        run = await desk.run(all=True)
        assert run.verify is not None
        assert "not known to be on the server's disk" in run.verify.evidence["unsettled"]
        assert any("not known to be on the server's disk" in line for line in desk.heard)
        await scratch.restart(desk.server, "immediate")
        assert await with_statistics(desk.server) == 0
        plan, again = await desk.resume(run)
        assert len(plan.pieces) == TABLES
        assert again.exit is Exit.OK
        assert await with_statistics(desk.server) == TABLES


async def test_a_crash_in_the_midst_leaves_nothing_out(tmp_path: Path) -> None:
    async with shop(tmp_path) as desk:
        running = asyncio.create_task(desk.run(all=True))
        while await with_statistics(desk.server) < 3:
            await asyncio.sleep(0)
        await scratch.restart(desk.server, "immediate")
        run = await running
        if run.exit is not Exit.OK:  # it may have been quicker
            _, again = await desk.resume(run)
            assert again.exit is Exit.OK
        assert await with_statistics(desk.server) == TABLES
