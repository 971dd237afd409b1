"""invalid-indexes: a unique index that could not be built, a rebuild that gave up, a build in progress."""

from __future__ import annotations

import contextlib
from pathlib import Path

import asyncpg
import pytest

from tests.command import Command
from tests.running import end, ended, killed_again_and_again, on, plan, run
from tests.servers.accounts import MAINTAINER, login
from tests.servers.fleet import Server
from tests.situations import Scene

RUNBOOK = "invalid-indexes"
POSTGRES = on("pg15", "pg17", "pg18")


@pytest.fixture
def command(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    """With an operator that owns the tables."""
    target = any_server.target_dict(database=shop.database, operator=login(MAINTAINER))
    return Command(tmp_path, {"t": target})


async def broken(shop: Scene) -> None:
    """A failed CREATE (n is not unique), and what a REINDEX left that gave up behind an open transaction."""
    client = await shop.client("deploy")
    with contextlib.suppress(asyncpg.UniqueViolationError):
        await client.run("create unique index concurrently orders_n on orders (n)")
    holder = await shop.holder(1)
    await client.run("set lock_timeout = '200ms'")
    with contextlib.suppress(asyncpg.LockNotAvailableError):
        await client.run("reindex index concurrently orders_pkey")
    await holder.run("commit")
    assert await names(shop) == {"orders_n": False, "orders_pkey": True, "orders_pkey_ccnew": False}


async def names(shop: Scene) -> dict[str, bool]:
    """Index -> valid."""
    connection = await shop.server.connect(database=shop.database)
    rows = await connection.fetch(
        "select indexrelid::regclass::text as name, indisvalid from pg_index"
        " where indrelid = 'orders'::regclass"
    )
    await connection.close()
    return {row["name"]: row["indisvalid"] for row in rows}


@POSTGRES
async def test_what_failed_builds_left_is_dropped(shop: Scene, command: Command) -> None:
    await broken(shop)
    told = await plan(command, RUNBOOK)
    assert 'index="public"."orders_pkey_ccnew"' in told
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["effects"]) == (0, ["leftovers[0].drop", "failed[0].remove"]), done
    assert await names(shop) == {"orders_pkey": True}
    assert "CREATE UNIQUE INDEX orders_n" in done.out


@on("pg18")
async def test_a_failed_build_is_built_anew_where_that_is_asked_for(shop: Scene, command: Command) -> None:
    await broken(shop)
    client = await shop.client("repair")
    await client.run("update orders set n = id")
    done = await run(command, RUNBOOK, "way=rebuild")
    assert (done.code, end(done)["effects"]) == (0, ["leftovers[0].drop", "failed[0].rebuild"]), done
    assert await names(shop) == {"orders_pkey": True, "orders_n": True}


@on("pg18")
async def test_a_build_in_progress_is_left_alone(shop: Scene, command: Command) -> None:
    await shop.holder(1)
    builder = await shop.client("deploy")
    builder.wait("create index concurrently orders_n on orders (n)")
    for _ in range(50):
        if "orders_n" in await names(shop):
            break
    assert "this way, as it is now" in await plan(command, RUNBOOK)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done
    assert "(1 are being built" in end(done)["text"]
    assert await names(shop) == {"orders_pkey": True, "orders_n": False}


@on("pg18")
async def test_each_is_dropped_once_whoever_dies(shop: Scene, command: Command) -> None:
    await broken(shop)
    retry = ("--decide", "drop=retry", "--decide", "remove=retry")
    _, rows = await killed_again_and_again(command, RUNBOOK, answers=retry)
    assert ended(rows)[0] == "ok"
    assert await names(shop) == {"orders_pkey": True}
