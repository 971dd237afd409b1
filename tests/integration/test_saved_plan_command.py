"""`dbdeck apply ./plan.json`: who may write the file does not say what is done, nor until when."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from console.cli.act import PLAN_MINUTES
from console.dispatch.action import Plan
from tests.command import Done
from tests.integration.test_maintenance_command import APPLY, SLOW, begun, on
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene

WORSE = 'drop table "public"."orders"'
Edit = Callable[[dict[str, Any]], object]


class Bench:
    """A database of PostgreSQL with a table of orders, and plans about it in a file."""

    def __init__(self, shop: Scene, server: PostgresServer, folder: Path) -> None:
        self.command = on(shop, server, folder)
        self.file = folder / "plan.json"
        self._shop = shop
        self._server = server

    async def sql(self, *statements: str) -> Any:
        connection = await self._server.connect(database=self._shop.database)
        try:
            for one in statements[:-1]:
                await connection.execute(one)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    async def plan(self, *words: str) -> None:
        planned = await self.command.run("plan", *words, "-t", "t", "--out", str(self.file))
        assert planned.code == 0, planned

    def edit(self, change: Edit) -> None:
        """With its hash made anew, as whoever edits it can."""
        document = msgspec.json.decode(self.file.read_bytes())
        change(document)
        plan = msgspec.convert(document, Plan)
        self.file.write_bytes(msgspec.json.encode({**document, "hash": plan.hash}))

    async def apply_from_stdin(self) -> Done:
        return await self.command.run("apply", "-", *APPLY[2:], text=self.file.read_text())

    async def apply(self) -> Done:
        return await self.command.run("apply", str(self.file), *APPLY[2:])


@pytest_asyncio.fixture
async def bench(postgres18: PostgresServer, tmp_path: Path) -> AsyncIterator[Bench]:
    async with scene(postgres18) as made:
        yield Bench(made, postgres18, tmp_path)


def shown(document: dict[str, Any]) -> None:
    document["statements"] = [WORSE]


def sent(document: dict[str, Any]) -> None:
    document["subject"]["jobs"][0]["statement"]["sql"] = WORSE


def both(document: dict[str, Any]) -> None:
    shown(document)
    document["subject"]["jobs"][0]["statement"] = {"sql": WORSE, "shown": WORSE, "command": True}


def finish(document: dict[str, Any]) -> None:
    document["subject"]["finish"] = {"sql": WORSE, "shown": WORSE, "command": True}


def elsewhere(document: dict[str, Any]) -> None:
    document["subject"]["jobs"][0] |= {"name": "items", "subject": "public.items"}


def patiently(document: dict[str, Any]) -> None:
    document["subject"]["limits"]["lock"] = 3600.0


def riskless(document: dict[str, Any]) -> None:
    document["risk"] = "low"


def unconfirmed(document: dict[str, Any]) -> None:
    document["confirm"] = False


async def test_a_plan_comes_on_stdin_and_is_looked_at_as_one_in_a_file(bench: Bench) -> None:
    await bench.plan("table.vacuum", "table=orders")
    done = await bench.apply_from_stdin()
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    bench.edit(shown)
    refused = await bench.apply_from_stdin()
    assert (refused.code, refused.document["effect"]) == (4, "none"), refused
    nothing = await bench.command.run("apply", "-", *APPLY[2:], text="")
    assert (nothing.code, "is no saved plan" in nothing.err) == (2, True), nothing


@pytest.mark.parametrize(
    "change",
    [shown, sent, both, finish, elsewhere, patiently, riskless, unconfirmed],
    ids=lambda one: one.__name__,
)
async def test_an_edited_plan_is_refused_and_nothing_is_recorded_as_done(bench: Bench, change: Edit) -> None:
    await bench.plan("table.vacuum", "table=orders", "full=true")
    before = await bench.sql("select pg_relation_filenode('orders')::int8")
    bench.edit(change)
    done = await bench.apply()
    assert (done.code, done.document["error"]["kind"]) == (4, "refused"), done
    assert "nothing was executed" in done.err
    assert "edited" in done.err
    after = await bench.sql("select pg_relation_filenode('orders')::int8")
    assert after == before
    assert "intent" not in await bench.command.kinds()


@pytest.mark.parametrize(
    ("meanwhile", "told"),
    [
        ("drop table orders cascade", "no table"),
        ("alter table orders rename to earlier; create table orders (id int primary key)", "made anew"),
    ],
)
async def test_a_plan_whose_objects_have_changed_is_stale(bench: Bench, meanwhile: str, told: str) -> None:
    await bench.plan("table.vacuum", "table=orders")
    await bench.sql(meanwhile, "select 1")
    done = await bench.apply()
    assert (done.code, told in done.err, "edited" in done.err) == (6, True, False), done
    assert "public.orders" in done.err


@pytest.mark.parametrize("action", ["table.vacuum", "table.analyze", "table.check", "index.reindex"])
async def test_a_table_that_was_worked_with_meanwhile_is_the_same(bench: Bench, action: str) -> None:
    await bench.sql(
        "create extension amcheck", "grant execute on all functions in schema public to public", "select 1"
    )
    await bench.plan(action, "table=orders")
    told = msgspec.json.decode(bench.file.read_bytes())["hash"]
    grown = "insert into orders select * from orders where false"
    await bench.sql(grown, "vacuum analyze orders", "select pg_stat_force_next_flush()")
    done = await bench.apply()
    assert (done.code, done.document["effect"]) in ((0, "applied"), (0, "no_op")), done
    intent = await bench.command.run("audit", "show", done.document["action_id"], "--json")
    assert intent.rows[0]["body"]["plan_hash"] == told


async def test_many_tables_keep_the_order_of_the_plan(bench: Bench) -> None:
    for n, rows in enumerate((10, 3000, 500)):
        await bench.sql(
            f"create table t{n} as select g from generate_series(1, {rows}) g",
            f"delete from t{n}",
            "select 1",
        )
    await bench.plan("table.vacuum", "pattern=t?")
    planned = msgspec.json.decode(bench.file.read_bytes())["statements"]
    done = await bench.apply()
    assert (done.code, done.document["statements"]) == (0, planned), done


async def test_the_time_in_the_file_makes_no_plan_younger(bench: Bench) -> None:
    await bench.plan("table.vacuum", "table=orders")
    now = datetime.now(UTC)
    for at, code in ((now - timedelta(minutes=PLAN_MINUTES + 1), 6), (now + timedelta(hours=1), 2)):
        bench.edit(lambda document, at=at: document.update(made_at=at.isoformat()))  # type: ignore[misc]
        done = await bench.apply()
        assert (done.code, "nothing was executed" in done.err) == (code, True), done


async def test_rows_are_purged_no_further_than_was_planned(bench: Bench) -> None:
    await bench.sql(
        "create table events (id int primary key, at timestamptz not null)",
        "create index on events (at)",
        "insert into events values (1, now() - interval '2 h')",
        "grant all on events to public",
        "select 1",
    )
    purge = ("rows.purge", "table=events", "column=at", "older_than=1h")
    await bench.plan(*purge)
    before = datetime.fromisoformat(msgspec.json.decode(bench.file.read_bytes())["args"]["before"])
    later = (before + timedelta(minutes=10)).isoformat()
    bench.edit(lambda document: document["args"].update(before=later))
    refused = await bench.command.run("apply", str(bench.file), *APPLY[2:], "--confirm", "t")
    assert (refused.code, "is later than" in refused.err) == (6, True), refused
    await bench.plan(*purge)
    before = datetime.fromisoformat(msgspec.json.decode(bench.file.read_bytes())["args"]["before"])
    since = (before + timedelta(milliseconds=100)).isoformat()
    await bench.sql(f"insert into events values (2, '{since}')", "select pg_sleep(1)")
    done = await bench.command.run("apply", str(bench.file), *APPLY[2:], "--confirm", "t")
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    assert await bench.sql("select array_agg(id) from events") == [2]


async def test_a_saved_plan_that_broke_off_is_gone_on_with(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    async with scene(postgres18) as many:
        bench = Bench(many, postgres18, tmp_path)
        for n in range(6):
            await bench.sql(
                f"create table t{n} as select g as id, repeat('x', 500) as t from generate_series(1, 8000) g",
                f"delete from t{n} where id % 2 = 0",
                "select 1",
            )
        await bench.plan("table.vacuum", *SLOW)
        process = await bench.command.start("apply", str(bench.file), *APPLY[2:])
        await begun(many, postgres18)
        os.kill(process.pid, signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 8, err
        action = msgspec.json.decode(out)["action_id"]
        rest = await bench.command.run("apply", "--resume", action, *APPLY)
        assert (rest.code, rest.document["effect"]) == (0, "applied"), rest


@pytest.mark.parametrize("schema", ["dbdeck/plan/2", "dbdeck/run/1", None])
async def test_a_file_of_another_schema_is_no_plan(bench: Bench, schema: str | None) -> None:
    """Its fields may mean something else there."""
    await bench.plan("table.analyze", "table=orders")
    document = msgspec.json.decode(bench.file.read_bytes())
    bench.file.write_bytes(msgspec.json.encode({**document, "schema": schema}))
    done = await bench.apply()
    assert (done.code, "dbdeck/plan/1" in done.err) == (2, True), done
    assert await bench.command.kinds() == []


async def test_a_plan_for_one_target_is_not_applied_where_another_is_named(bench: Bench) -> None:
    await bench.plan("table.analyze", "table=orders")
    done = await bench.command.run("apply", str(bench.file), "-t", "other", *APPLY[2:])
    assert (done.code, "is for t, not for other" in done.err) == (2, True), done
    assert await bench.command.kinds() == []
    assert (await bench.command.run("apply", str(bench.file), *APPLY)).code == 0


async def test_a_blank_reason_is_none(bench: Bench) -> None:
    await bench.plan("table.analyze", "table=orders")
    for reason in ("", "  "):
        done = await bench.command.run("apply", str(bench.file), "--json", "--yes", "--reason", reason)
        assert (done.code, "nothing was executed" in done.err) == (2, True), done
    assert await bench.command.kinds() == []
