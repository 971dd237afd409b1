"""setting.set and setting.reset of one table of PostgreSQL: its storage parameters, there and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from actions.settings import SetSetting
from console.dispatch.action import Plan
from console.errors import Exit, Refused, Stale, UsageError
from console.present.names import shown
from tests.command import Command
from tests.integration.actions.conftest import Desk, desk_on, superuser
from tests.integration.actions.test_settings import undo
from tests.servers import accounts
from tests.servers.postgres import PostgresServer

FACTOR = "autovacuum_vacuum_scale_factor"
_MADE = (
    "create schema shop authorization app_user",
    "create table shop.orders (id int, note text)",
    "create table shop.plain (id int)",
    "create materialized view shop.totals as select 1 as x, 'a'::text as note",
    "create table shop.parted (id int) partition by range (id)",
    "create table shop.parted_1 partition of shop.parted for values from (0) to (10)",
    "create table shop.parted_2 partition of shop.parted default partition by range (id)",
    "create table shop.parted_2a partition of shop.parted_2 for values from (10) to (15)",
    "create index orders_id on shop.orders (id)",
    "create view shop.seen as select * from shop.orders",
    *(f"alter table shop.{name} owner to app_user" for name in ("orders", "plain", "parted")),
    "alter materialized view shop.totals owner to app_user",
)


@pytest_asyncio.fixture
async def database(postgres: PostgresServer) -> str:
    made = await postgres.new_database()
    await superuser(postgres, *_MADE, database=made)
    return made


@pytest_asyncio.fixture
async def stranger(postgres: PostgresServer, database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """The operator without any right on the tables."""
    async with desk_on(postgres, tmp_path, database=database) as made:
        yield made


@pytest_asyncio.fixture
async def desk(stranger: Desk) -> AsyncIterator[Desk]:
    """The operator as a member of the owner's role."""
    await stranger.as_superuser(f"grant {accounts.APP} to {accounts.OPERATOR}")
    yield stranger
    await stranger.as_superuser(f"revoke {accounts.APP} from {accounts.OPERATOR}")


async def sql(desk: Desk, *statements: str) -> list[tuple[Any, ...]]:
    return await desk.as_superuser(*statements, database=desk.engine.target.database)


async def options(desk: Desk, table: str, *, toast: bool = False) -> list[str] | None:
    """By the superuser; `table` is a literal's text."""
    oid = f"(select oid from pg_class where relname = {literal(table)})"
    if toast:
        oid = f"(select reltoastrelid from pg_class where oid = {oid})"
    rows = await sql(desk, f"select reloptions from pg_class where oid = {oid}")
    return list(rows[0][0]) if rows[0][0] is not None else None


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def applied(desk: Desk, action: str, **given: Any) -> Plan:
    plan = await desk.plan(action, **given)
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    return plan


@pytest.mark.parametrize(
    ("table", "name", "first", "again", "second"),
    [
        ("orders", FACTOR, "0.01", "0.010", "0.5"),
        ("orders", "fillfactor", "70", "70", "90"),
        ("orders", "autovacuum_enabled", "off", "false", "on"),
        ("orders", "user_catalog_table", "on", "true", "off"),
        ("orders", "toast.autovacuum_enabled", "off", "0", "on"),
        ("totals", FACTOR, "0.01", "0.01", "0.5"),
    ],
)
async def test_there_and_back(desk: Desk, table: str, name: str, first: str, again: str, second: str) -> None:
    toast, bare = name.startswith("toast."), name.removeprefix("toast.")
    here = {"name": name, "table": f"shop.{table}"}
    one = await applied(desk, "setting.set", value=first, **here)
    kind = "MATERIALIZED VIEW" if table == "totals" else "TABLE"
    assert one.statements[0].startswith(f'ALTER {kind} "shop"."{table}" SET (')
    assert await options(desk, table, toast=toast) == [f"{bare}={first}"]
    same = await desk.run("setting.set", value=again, **here)
    assert (same.effect, same.exit) == ("no_op", Exit.OK)
    two = await applied(desk, "setting.set", value=second, **here)
    await undo(desk, two)
    assert await options(desk, table, toast=toast) == [f"{bare}={first}"]
    await undo(desk, one)
    assert await options(desk, table, toast=toast) is None
    gone = await desk.run("setting.reset", **here)
    assert (gone.effect, gone.exit) == ("no_op", Exit.OK)


@pytest.mark.parametrize(
    "name",
    [
        'q"uote',
        "new\nline",
        "grün ☃ 表",
        "Capital",
        "a.b",
        "x'; drop table shop.plain; --",
        "ü" * 31 + "x",
        "x" * 63,
    ],
)
async def test_any_name_is_one_name(desk: Desk, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    await sql(desk, f"create table shop.{quoted} (id int)", f"alter table shop.{quoted} owner to app_user")
    plan = await applied(desk, "setting.set", name=FACTOR, value="0.02", table=shown("shop", name))
    assert await options(desk, name) == [f"{FACTOR}=0.02"]
    await undo(desk, plan)
    assert await options(desk, name) is None
    assert await options(desk, "plain") is None


async def test_the_plan_says_what_applies_and_when_and_under_which_lock(desk: Desk) -> None:
    plan = await desk.plan("setting.set", name=FACTOR, value="0.01", table="orders")
    assert plan.args["table"] == "shop.orders", "a name that only one schema has"
    assert plan.forecast[0] == "now not set there, otherwise 0.2"
    assert plan.forecast[1] == "then 0.01; it counts from the next autovacuum run on the table"
    assert "it takes ShareUpdateExclusive on shop.orders" in plan.forecast[2]
    strong = await desk.plan("setting.set", name="user_catalog_table", value="on", table="shop.orders")
    assert "it takes AccessExclusive on shop.orders" in strong.forecast[2]
    age = await desk.plan("setting.set", name="autovacuum_freeze_max_age", value="900000000", table="orders")
    assert any("takes the smaller one" in line for line in age.warnings)


async def test_a_toast_parameter_covers_what_the_table_lent(desk: Desk) -> None:
    await sql(desk, f"alter table shop.orders set ({FACTOR} = 0.03)")
    given = {"name": f"toast.{FACTOR}", "value": "0.5", "table": "shop.orders"}
    plan = await desk.plan("setting.set", **given)
    assert plan.forecast[0] == "now not set there, otherwise 0.03"
    assert any(f"the table's own {FACTOR}=0.03" in line for line in plan.warnings)


async def test_a_table_made_anew_is_stale(desk: Desk) -> None:
    plan = await desk.plan("setting.set", name=FACTOR, value="0.01", table="shop.plain")
    await sql(
        desk,
        "drop table shop.plain",
        "create table shop.plain (id int)",
        "alter table shop.plain owner to app_user",
    )
    with pytest.raises(Stale, match="table was"):
        await desk.apply(plan)
    assert await options(desk, "plain") is None


async def test_reconcile_says_of_a_table_what_it_sees(desk: Desk) -> None:
    plan = await desk.plan("setting.set", name=FACTOR, value="0.01", table="shop.plain")
    action = SetSetting()
    assert (await action.verify(plan, desk.engine, patience=0)).state == "not_applied"
    await sql(desk, f"alter table shop.plain set ({FACTOR} = 0.01)")
    assert (await action.verify(plan, desk.engine, patience=0)).state == "applied"
    await sql(desk, "drop table shop.plain", f"create table shop.plain (id int) with ({FACTOR} = 0.01)")
    assert (await action.verify(plan, desk.engine, patience=0)).state == "undecidable"


async def test_a_changed_value_is_stale(desk: Desk) -> None:
    plan = await desk.plan("setting.set", name="fillfactor", value="70", table="shop.plain")
    await sql(desk, "alter table shop.plain set (fillfactor = 55)")
    with pytest.raises(Stale, match="55"):
        await desk.apply(plan)


async def test_without_the_right_the_owner_is_named_and_nothing_is_recorded(stranger: Desk) -> None:
    given = {"name": "fillfactor", "value": "70", "table": "shop.plain"}
    plan = await stranger.plan("setting.set", **given)
    grant = f"GRANT {accounts.APP} TO {accounts.OPERATOR}"
    assert any(grant in line for line in plan.warnings), plan.warnings
    with pytest.raises(Refused, match=grant):
        await stranger.apply(plan)
    assert "intent" not in await stranger.kinds()
    assert await options(stranger, "plain") is None
    await sql(stranger, grant)
    try:
        after = await stranger.plan("setting.set", **given)
        assert not any("GRANT" in line for line in after.warnings)
        assert (await stranger.apply(after)).effect == "applied"
    finally:
        await sql(stranger, f"revoke {accounts.APP} from {accounts.OPERATOR}")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("shop.parted", r"it is partitioned"),
        ("shop.orders_id", "it is an index"),
        ("shop.seen", "it is a view"),
        ("pg_catalog.pg_class", "system catalog"),
    ],
)
async def test_what_has_no_storage_parameters_is_refused(desk: Desk, table: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        await desk.run("setting.set", name="fillfactor", value="70", table=table)
    assert "intent" not in await desk.kinds()
    if table == "shop.parted":
        assert "name its partitions: shop.parted_1, shop.parted_2a" in refused.value.hint


async def test_what_the_server_would_ignore_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="it has no TOAST table"):
        await desk.run("setting.set", name="toast.autovacuum_enabled", value="off", table="shop.plain")
    with pytest.raises(UsageError, match="no parameter 'autovacuum_vacum_scale_factor'") as refused:
        await desk.run("setting.reset", name="autovacuum_vacum_scale_factor", table="shop.plain")
    assert refused.value.hint == f"did you mean {FACTOR}?"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"value": "5"}, "from 10 to 100"),
        ({"value": "0"}, "from 10 to 100"),
        ({"value": "70%"}, "a number without a unit"),
        ({"name": "autovacuum_enabled", "value": "perhaps"}, "it is on or off"),
        ({"name": "autovacuum_vacuum_cost_delay", "value": "2ms"}, "a number without a unit"),
        ({"table": "shop.nothing", "value": "70"}, "has no table 'shop.nothing'"),
        ({"table": "a.b.c", "value": "70"}, "is no name of a table"),
        ({"table": "x" * 64, "value": "70"}, "has no table"),
        ({"scope": "server", "value": "70"}, "for whom"),
        ({"role": accounts.APP, "value": "70"}, "for whom"),
        ({"persist": True, "value": "70"}, "no SET PERSIST"),
    ],
)
async def test_what_is_no_value_or_no_table(desk: Desk, given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        await desk.plan("setting.set", **{"name": "fillfactor", "table": "shop.plain"} | given)
    assert "nothing was" in refused.value.message


async def test_a_name_that_several_schemas_have_needs_its_schema(desk: Desk) -> None:
    await sql(desk, "create table public.plain (id int)")
    with pytest.raises(UsageError, match="several schemas have a 'plain': 'public', 'shop'"):
        await desk.plan("setting.set", name="fillfactor", value="70", table="plain")


async def test_a_lock_is_not_waited_for_long(desk: Desk) -> None:
    assert isinstance(desk.server, PostgresServer)
    other = await desk.server.connect(database=desk.engine.target.database)
    try:
        holding = other.transaction()
        await holding.start()
        await other.execute("lock table shop.plain in share update exclusive mode")
        began = time.monotonic()
        run = await desk.run("setting.set", name="fillfactor", value="70", table="shop.plain")
        assert (run.effect, run.exit) == ("none", Exit.FAILED), run
        assert run.error is not None
        assert "lock" in run.error.message
        assert time.monotonic() - began < 6
        await holding.rollback()
    finally:
        await other.close()
    assert await options(desk, "plain") is None


async def test_readers_and_writers_go_on_beside_it(desk: Desk) -> None:
    assert isinstance(desk.server, PostgresServer)
    other = await desk.server.connect(database=desk.engine.target.database)
    try:
        async with other.transaction():
            await other.execute("insert into shop.plain values (1)")
            async with asyncio.timeout(10):
                await applied(desk, "setting.set", name="fillfactor", value="70", table="shop.plain")
    finally:
        await other.close()


async def test_the_command_sets_and_resets(desk: Desk, tmp_path: Path) -> None:
    command = Command(tmp_path, {"t": desk.server.target_dict(database=desk.engine.target.database)})
    await sql(
        desk, 'create table shop."odd ""name" (id int)', 'alter table shop."odd ""name" owner to app_user'
    )
    words = ("-t", "t", "--json", "--yes", "--reason", "a test", "name=fillfactor", 'table=shop."odd ""name"')
    done = await command.run("apply", "setting.set", *words, "value=45")
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    gone = await command.run("apply", "setting.reset", *words)
    assert (gone.code, gone.document["effect"]) == (0, "applied"), gone
    again = await command.run("apply", "setting.reset", *words)
    assert (again.code, again.document["effect"]) == (0, "no_op"), again
