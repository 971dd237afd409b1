"""table.check on real servers: what is damaged is named, what is sound is not, and nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.dispatch.action import Watch
from console.errors import Exit, Refused, UsageError
from tests.command import Command
from tests.damage import break_myisam, damageable, flip, lose_a_row
from tests.integration.actions.conftest import Desk, desk_on
from tests.servers.accounts import MAINTAINER, OPERATOR, login
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene


@pytest_asyncio.fixture
async def shop(postgres: PostgresServer) -> AsyncIterator[Scene]:
    async with damageable(postgres) as made:
        yield made


@pytest_asyncio.fixture
async def desk(shop: Scene, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(postgres, tmp_path, database=shop.database) as made:
        yield made


@pytest_asyncio.fixture
async def shop18(postgres18: PostgresServer) -> AsyncIterator[Scene]:
    async with damageable(postgres18) as made:
        yield made


@pytest_asyncio.fixture
async def desk18(shop18: Scene, postgres18: PostgresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(postgres18, tmp_path, database=shop18.database) as made:
        yield made


# The lowest byte of a key amid the first leaf: 16 bytes a tuple, from the end of the page on.
KEY = 2 * 8192 - 16 - 1600 + 8


def damaged(run: Any) -> list[tuple[str, str]]:
    assert run.verify is not None
    return [(one["kind"], one["object"]) for one in run.verify.evidence["damaged"]]


async def test_a_sound_table_with_its_indexes_is_found_sound(desk: Desk) -> None:
    plan = await desk.plan("table.check", table="orders")
    assert any("verify_heapam(" in line for line in plan.statements), plan.statements
    assert any("bt_index_check(" in line and "orders_pkey" in line for line in plan.statements)
    run = await desk.apply(plan)
    assert (run.effect, run.exit) == ("no_op", Exit.OK), run
    assert run.verify is not None
    assert (run.verify.evidence["checked"], run.verify.evidence["damaged"]) == (2, [])


async def test_an_index_that_lacks_a_row_is_found_by_a_deep_look_only(desk: Desk, shop: Scene) -> None:
    await lose_a_row(shop)
    shallow = await desk.run("table.check", all=True)
    assert shallow.exit == Exit.OK, shallow
    deep = await desk.run("table.check", all=True, deep=True)
    assert (deep.effect, deep.exit) == ("none", Exit.FAILED), deep
    assert damaged(deep) == [("index", "public.orders_pkey")]
    assert deep.error is not None
    assert deep.error.kind == "damaged"
    assert "lacks matching index tuple" in deep.error.message


async def test_flipped_bytes_are_named_and_the_rest_is_looked_at(desk: Desk, shop: Scene) -> None:
    setup = await shop.client("setup")
    await setup.run("create table papers (id int primary key, body text)")
    await setup.run("insert into papers select g, repeat('x', 500) from generate_series(1, 2000) g")
    assert isinstance(desk.server, PostgresServer)
    await flip(desk.server, shop.database, "orders_pkey", KEY)
    await flip(desk.server, shop.database, "papers", 2 * 8192 + 12, length=40)
    run = await desk.run("table.check", schema="public")
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert set(damaged(run)) == {("index", "public.orders_pkey"), ("table", "public.papers")}
    assert run.verify is not None
    assert run.verify.evidence["not_checked"] == []


async def test_without_the_extension_it_says_so(postgres18: PostgresServer, tmp_path: Path) -> None:
    async with scene(postgres18) as made, desk_on(postgres18, tmp_path, database=made.database) as desk:
        with pytest.raises(UsageError, match="amcheck is not in this database"):
            await desk.plan("table.check", all=True)


async def test_without_the_right_nothing_is_found_and_nothing_is_claimed(desk18: Desk, shop18: Scene) -> None:
    await desk18.as_superuser(
        f"revoke execute on all functions in schema public from {OPERATOR}", database=shop18.database
    )
    run = await desk18.run("table.check", all=True)
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert run.error is not None
    assert "permission denied" in run.error.message
    assert "amcheck" in run.error.hint
    assert damaged(run) == []


async def test_who_holds_the_table_is_not_waited_for_for_long(desk18: Desk, shop18: Scene) -> None:
    holder = await shop18.client("ddl")
    await holder.run("begin")
    await holder.run("lock table orders in access exclusive mode")
    plan = await desk18.plan("table.check", table="orders", lock_timeout="200ms", tries=2)
    assert any("held up now" in line for line in plan.forecast), plan.forecast
    run = await desk18.apply(plan, watch=Watch(seconds=0))
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    await holder.run("rollback")


async def test_a_budget_ends_it_and_the_rest_is_told(desk18: Desk, shop18: Scene) -> None:
    setup = await shop18.client("setup")
    for n in range(40):
        await setup.run(f"create table t{n} as select g, repeat('x', 300) from generate_series(1, 3000) g")
    run = await desk18.run("table.check", all=True, budget="50ms")
    assert run.verify is not None
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert run.verify.evidence["not_checked"]
    assert len(run.verify.evidence["not_checked"]) + run.verify.evidence["checked"] == 2 + 40 * 3


# ---- MySQL and MariaDB -------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def store(mysql: MysqlServer) -> AsyncIterator[Scene]:
    async with scene(mysql) as made:
        yield made


async def test_a_broken_table_is_named_and_a_sound_one_is_not(
    store: Scene, mysql: MysqlServer, tmp_path: Path
) -> None:
    await break_myisam(mysql, store.database)
    over: dict[str, Any] = {"database": store.database, "operator": login(MAINTAINER)}
    async with desk_on(mysql, tmp_path, **over) as desk:
        sound = await desk.run("table.check", table=f"{store.database}.orders", deep=True)
        assert (sound.effect, sound.exit) == ("no_op", Exit.OK), sound
        run = await desk.run("table.check", schema=store.database)
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert damaged(run) == [("table", f"{store.database}.broken")]


async def test_without_the_right_it_is_refused_before_any_intent(
    store: Scene, mysql: MysqlServer, tmp_path: Path
) -> None:
    async with desk_on(mysql, tmp_path) as desk:
        plan = await desk.plan("table.check", table=f"{store.database}.orders")
        with pytest.raises(Refused, match=r"GRANT SELECT ON `.*`\.`orders` TO"):
            await desk.apply(plan)


async def test_the_command_fails_where_something_is_damaged(
    store: Scene, mysql: MysqlServer, tmp_path: Path
) -> None:
    await break_myisam(mysql, store.database)
    command = Command(tmp_path, {"t": mysql.target_dict(operator=login(MAINTAINER))})
    words = ("-t", "t", "--json", "--yes", "--reason", "a test", f"schema={store.database}")
    done = await command.run("apply", "table.check", *words)
    assert (done.code, done.document["error"]["kind"]) == (1, "damaged"), done
