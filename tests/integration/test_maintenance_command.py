"""Maintenance by the command line: documents, signals, kill -9, and going on where it broke off."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.command import Command
from tests.guards.sources import ROOT
from tests.servers.accounts import MAINTAINER, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene

APPLY = ("-t", "t", "--json", "--yes", "--reason", "a test")


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest.fixture
def command(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    return on(shop, any_server, tmp_path)


def on(shop: Scene, server: Server, folder: Path) -> Command:
    target = server.target_dict(database=shop.database, operator=login(MAINTAINER))
    return Command(folder, {"t": target})


async def test_tables_indexes_and_progress_are_documents(shop: Scene, command: Command) -> None:
    setup = await shop.client("setup")
    await setup.run("analyze table orders" if isinstance(shop.server, MysqlServer) else "analyze orders")
    for subject in ("tables", "indexes", "progress"):
        document = (await command.run("show", subject, "-t", "t", "--json")).document
        assert document["schema"] == f"dbdeck/{subject}/1"
        assert document["problem"] is None
        csv = await command.run("show", subject, "-t", "t", "--csv")
        text = await command.run("show", subject, "-t", "t")
        assert (csv.code, text.code) == (0, 0)
    tables = {row["table"]: row for row in (await command.run("show", "tables", "-t", "t", "--json")).rows}
    mysql = isinstance(shop.server, MysqlServer)
    orders = tables[f"{shop.database}.orders" if mysql else "public.orders"]
    assert orders["total_bytes"] > 0
    assert (orders["xid_age"] is None) is mysql


async def test_a_plan_for_the_whole_database_is_saved_and_applied(shop: Scene, command: Command) -> None:
    saved = command.folder / "plan.json"
    planned = await command.run("plan", "database.maintain", "-t", "t", "--out", str(saved))
    assert planned.code == 0, planned
    done = await command.run("apply", str(saved), *APPLY[2:])
    assert (done.code, done.document["effect"]) in ((0, "applied"), (0, "no_op")), done


async def test_a_plan_on_stdout_is_what_apply_takes_from_a_file(shop: Scene, command: Command) -> None:
    name = f"{shop.database}.orders" if isinstance(shop.server, MysqlServer) else "orders"
    planned = await command.run("plan", "table.analyze", "-t", "t", f"table={name}", "-o", "-")
    assert planned.document["schema"] == "dbdeck/plan/1", "nothing but the plan is on stdout"
    assert not (ROOT / "-").exists()
    saved = command.folder / "plan.json"
    saved.write_text(planned.out)
    done = await command.run("apply", str(saved), *APPLY[2:])
    assert (done.code, done.document["effect"]) == (0, "applied"), done


async def test_a_table_is_analyzed(shop: Scene, command: Command) -> None:
    name = f"{shop.database}.orders" if isinstance(shop.server, MysqlServer) else "orders"
    done = await command.run("apply", "table.analyze", f"table={name}", *APPLY)
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    assert await command.kinds() == ["intent", "step", "outcome"]
    assert (await command.run("audit", "verify", "--json")).document["ok"] is True


# ---- on PostgreSQL: many tables, slowed ------------------------------------------------------------


@pytest_asyncio.fixture
async def many(postgres18: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres18) as made:
        setup = await made.client("setup")
        for n in range(6):
            await setup.run(
                f"create table t{n} as select g as id, repeat('x', 500) as t from generate_series(1, 8000) g"
            )
            await setup.run(f"delete from t{n} where id % 2 = 0")
        yield made


SLOW = ("pattern=t*", "cost_delay=20", "cost_limit=20")


async def begun(many: Scene, server: PostgresServer) -> None:
    """Some tables are done, and one is being vacuumed."""
    admin = await server.connect(database=many.database)
    counted = "select count(*) from pg_stat_user_tables where vacuum_count > 0"
    working = "select count(*) from pg_stat_progress_vacuum where datname = current_database()"
    async with asyncio.timeout(40):
        while not (await admin.fetchval(counted) > 1 and await admin.fetchval(working)):
            await asyncio.sleep(0.05)
    await admin.close()


async def test_sigterm_cancels_what_runs_and_the_outcome_says_what_was_done(
    many: Scene, postgres18: PostgresServer, tmp_path: Path
) -> None:
    command = on(many, postgres18, tmp_path)
    process = await command.start("apply", "table.vacuum", *SLOW, *APPLY)
    await begun(many, postgres18)
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 8, err
    document = json.loads(out)
    counts = document["verify"]["evidence"]["counts"]
    assert counts["done"] >= 1, document
    assert counts.get("cancelled") == 1, document
    assert counts["done"] + counts["cancelled"] + counts.get("not_begun", 0) == 6
    assert f"--resume {document['action_id']}" in document["error"]["hint"]
    rest = await command.run("apply", "--resume", document["action_id"], *APPLY)
    assert (rest.code, rest.document["effect"]) == (0, "applied"), rest
    left = 6 - counts["done"]
    assert len(rest.document["statements"]) == left + (left > 1)  # after several: the database's age


async def test_after_kill_9_nothing_is_lost_and_nothing_is_done_twice(
    many: Scene, postgres18: PostgresServer, tmp_path: Path
) -> None:
    command = on(many, postgres18, tmp_path)
    process = await command.start("apply", "table.vacuum", *SLOW, *APPLY)
    await begun(many, postgres18)
    os.kill(process.pid, signal.SIGKILL)
    await process.communicate()
    frozen = await command.run("apply", "table.vacuum", "table=orders", *APPLY)
    assert frozen.code == 4, frozen
    assert "frozen" in frozen.err
    async with asyncio.timeout(60):
        # The server goes on with the statement of a client that died, until it notices.
        while (settled := await command.run("audit", "reconcile", "--json")).code == 9:
            await asyncio.sleep(0.5)
    assert settled.code == 0, settled
    action = settled.rows[0]["action_id"]
    rest = await command.run("apply", "--resume", action, *APPLY)
    assert (rest.code, rest.document["effect"]) == (0, "applied"), rest
    admin = await postgres18.connect(database=many.database)
    counts = await admin.fetch(
        "select relname::text, vacuum_count from pg_stat_user_tables where relname like 't_'"
    )
    await admin.close()
    assert {row["vacuum_count"] for row in counts} == {1}


async def test_measuring_says_what_it_costs_and_wants_a_yes(
    many: Scene, postgres18: PostgresServer, tmp_path: Path
) -> None:
    command = on(many, postgres18, tmp_path)
    admin = await postgres18.connect(database=many.database)
    await admin.execute("create extension pgstattuple")
    await admin.execute("vacuum t0")
    await admin.close()
    asked = await command.run("measure", "public.t0", "-t", "t")
    assert asked.code == 2
    assert "it reads" in asked.err
    measured = await command.run("measure", "public.t0", "-t", "t", "--yes", "--json")
    assert measured.code == 0, measured
    assert measured.document["bloat"]["exact"] is True
    assert measured.document["bloat"]["wasted"] > 1_000_000


async def test_every_end_of_measuring_is_a_document(
    many: Scene, postgres18: PostgresServer, tmp_path: Path
) -> None:
    command = on(many, postgres18, tmp_path)
    bare = await command.run("measure", "public.t0", "-t", "t", "--yes", "--json")
    gone = await command.run("measure", "public.gone", "-t", "t", "--yes", "--json")
    admin = await postgres18.connect(database=many.database)
    await admin.execute("create extension pgstattuple")
    asked = await command.run("measure", "public.t0", "-t", "t", "--json")
    await admin.execute("begin; lock table t0 in access exclusive mode")
    locked = await command.run("measure", "public.t0", "-t", "t", "--json", "--yes")
    pid = admin.get_server_pid()
    await admin.close()
    for done, code, kind, words in (
        (bare, 2, "usage", "CREATE EXTENSION pgstattuple"),
        (gone, 2, "usage", "no table or index public.gone"),
        (asked, 2, "usage", "nothing was measured"),
        (locked, 1, "lock_timeout", f"session {pid} "),
    ):
        assert done.code == code, done
        document = done.document
        assert document["schema"] == "dbdeck/measure/1"
        assert (document["target"], document["engine"]) == ("t", "postgres")
        assert document["problem"]["kind"] == kind
        assert words in document["problem"]["message"], done
        assert document["bloat"] is None
    assert asked.document["cost"]["how"] == "pgstattuple(public.t0)"
    assert locked.document["subject"] == "public.t0"
