"""A real anti-wraparound vacuum at work: it is named as such, and nothing here ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import yaml

import actions
from actions.jobs import jobs_of
from console.audit.ledger import open_ledger
from console.config import parse
from console.dispatch.action import Approval
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.dispatch.scratch import ScratchServer, scratch_postgres
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import Exit, Refused
from console.model.policy import Policy
from console.model.tables import TableQuery
from console.model.target import Target
from tests.integration.actions.conftest import until

SETTINGS = {
    "autovacuum_freeze_max_age": "100000",  # the least there is
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_cost_delay": "100ms",
    "autovacuum_vacuum_cost_limit": "1",
    "fsync": "off",
    "deadlock_timeout": "200ms",
}
# Numbers are used up one by one: a transaction that asks for its own number gets one.
BURN = "do $$ begin for i in 1..110000 loop perform pg_current_xact_id(); commit; end loop; end $$"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScratchServer]:
    async with scratch_postgres(settings=SETTINGS) as made:
        yield made


async def connect(server: ScratchServer) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=server.superuser, database="postgres"
    )


def target(server: ScratchServer) -> Target:
    found: dict[str, Any] = {
        "engine": "postgres", "host": str(server.socket_dir), "port": server.port, "environment": "dev",
        "tls": "off", "monitor": {"user": server.superuser}, "operator": {"user": server.superuser},
    }  # fmt: skip
    return parse(yaml.safe_dump({"targets": {"t": found}})).target("t")


async def test_it_is_named_and_never_ended_by_accident(server: ScratchServer, tmp_path: Path) -> None:
    admin = await connect(server)
    rows = "select g as id, repeat('x', 500) as t from generate_series(1, 50000) g"
    await admin.execute(f"create table big as {rows}")
    await admin.execute("create index big_id on big (id)")
    await admin.execute("create table whole (like big) partition by range (id)")
    await admin.execute("alter table whole attach partition big for values from (0) to (100000)")
    await admin.execute(BURN)
    await admin.execute("create table small as select 1 as id; create index small_id on small (id)")

    async def at_work() -> bool:
        return bool(
            await admin.fetchval(
                "select pid from pg_stat_activity"
                " where query like 'autovacuum: VACUUM%public.big%wraparound%'"
            )
        )

    await until(at_work, 60)
    async with (
        open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as ledger,
        open_engine(target(server)) as engine,
    ):
        work = [one for one in (await engine.progress()).work if one.object == "public.big"]
        assert [(one.automatic, one.wraparound) for one in work] == [(True, True)]
        dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())
        for name, table in (("table.vacuum", "big"), ("table.analyze", "big"), ("table.analyze", "whole")):
            plan = await dispatcher.plan(name, engine, {"table": table})
            assert any("against wraparound" in line for line in plan.refusals)
            with pytest.raises(Refused, match="against wraparound"):
                await dispatcher.apply(plan, engine, Approval(reason="a test"))
        await _left_out(dispatcher, engine, admin)
        session = await engine.session(work[0].session)
        assert session is not None
        given = {"id": session.id, "started_at": session.started_at}
        plan = await dispatcher.plan("session.cancel", engine, given)
        assert any("wraparound" in line for line in plan.refusals)
        tables = {one.key: one for one in (await engine.tables(TableQuery())).tables}
        assert tables["public.big"].busy == session.id
        await dispatcher.close()
    assert await at_work()
    await admin.close()


async def _left_out(
    dispatcher: Dispatcher, engine: Engine, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Of a plan that chose it; a saved one is planned again by the names of the others, and is the same."""
    for name in ("table.vacuum", "table.analyze"):
        plan = await dispatcher.plan(name, engine, {"all": True})
        assert [job.subject for job in jobs_of(plan)] == ["public.small"]
        assert [line for line in plan.warnings if line.endswith("must not be ended: public.big")]
        assert (await dispatcher.vouched(plan, engine)).hash == plan.hash  # as `apply FILE` does it
        run = await dispatcher.apply(plan, engine, Approval(reason="a test"))
        assert (run.effect, run.exit) == ("applied", Exit.OK), run
    plan = await dispatcher.plan("index.reindex", engine, {"schema": "public"})
    assert [job.subject for job in jobs_of(plan)] == ["public.small_id"]
    assert [line for line in plan.warnings if line.endswith("must not be ended: public.big_id")]
    assert (await dispatcher.vouched(plan, engine)).hash == plan.hash
    await admin.execute("create table other with (autovacuum_enabled = off) as select 1 as id")
    await admin.execute("select pg_stat_force_next_flush()")  # else its rows are counted some time later
    plan = await dispatcher.plan("database.maintain", engine, {})
    assert [job.id for job in jobs_of(plan)] == ["analyze public.other"]
    assert [line for line in plan.forecast if line.startswith("1. analyze public.other")]
    assert not [line for line in plan.forecast if "public.big" in line], plan.forecast
    assert (await dispatcher.vouched(plan, engine)).hash == plan.hash
