"""Rows and checksums of a database, snapshots of it, and questions to it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from console.engine.postgres import contents
from console.errors import ActionFailed, LoginRefused
from console.model.inventory import Contents, Wanted
from tests.integration.postgres.conftest import SEER, Desk
from tests.integration.postgres.kitchen import SINK, copied, fill, tool

ALL = Wanted(seconds=60)
MANY = (
    "create table t (id int primary key, v text)",
    "insert into t select g, md5(g::text) from generate_series(1, 20000) g",
    "create table keyless (v text)",
    "insert into keyless select md5(g::text) from generate_series(1, 20000) g",
    "vacuum analyze",
)


async def seen(desk: Desk, wanted: Wanted = ALL, database: str = "") -> Contents:
    return await (await desk.seeing()).contents(database or desk.database, wanted)


async def test_every_table_is_counted_and_summed_whatever_it_is_called(desk: Desk) -> None:
    await fill(desk.server, desk.database)
    found = (await seen(desk)).by_name()
    assert {name: one.rows for name, one in found.items() if name != "shop.customers"} == {
        '"Odd Schema"."a.b ""c"': 10, "shop.cache": 1, "shop.child": 1, "shop.nothing": 1, "shop.rooms": 1,
        "shop.orders_new": 1749, "shop.orders_old": 1251, "large objects": 2,
    }  # fmt: skip
    assert all(one.exact and one.checksum for name, one in found.items() if name != "shop.customers")
    assert found["shop.cache"].unlogged
    assert not found["shop.rooms"].unlogged


async def test_row_security_hides_no_rows_but_says_what_is_missing(desk: Desk) -> None:
    await fill(desk.server, desk.database)
    hidden = (await seen(desk)).by_name()["shop.customers"]
    assert (hidden.rows, hidden.checksum) == (None, "")
    assert hidden.why == f"row security hides rows of it: ALTER ROLE {SEER} BYPASSRLS;"
    await desk.run(f"alter role {SEER} bypassrls")
    engine = await desk.looking(SEER)
    assert (await engine.contents(desk.database, ALL)).by_name()["shop.customers"].rows == 2


async def test_a_restored_dump_has_the_same_rows(desk: Desk, tmp_path: Path) -> None:
    plain = "create subscription", "alter database", "alter role"
    await fill(desk.server, desk.database, tuple(sql for sql in SINK if not sql.startswith(plain)))
    before = await seen(desk)
    copy = await copied(desk.server, desk.database, tmp_path)
    after = await seen(desk, database=copy)
    assert after.by_name() == before.by_name()
    await tool(desk.server, "psql", "-d", copy, "-c", "update shop.orders set total = total + 1 where id = 7")
    other = (await seen(desk, database=copy)).by_name()
    changed = [name for name, one in before.by_name().items() if one.checksum != other[name].checksum]
    assert changed == ["shop.orders_old"]
    assert other["shop.orders_old"].rows == before.by_name()["shop.orders_old"].rows


async def test_a_checksum_depends_on_no_session_setting_of_the_server(desk: Desk) -> None:
    await desk.run(
        "create table t (a timestamptz, b interval, c float8, d bytea, e money, f regclass, g date)",
        "insert into t values (now(), '1 day 2 h', 0.1::float8 + 0.2, '\\x00ff', 12.5, 'pg_class', now())",
    )
    one = await seen(desk)
    for name, value in (
        ("datestyle", "'german'"), ("timezone", "'Asia/Tokyo'"), ("intervalstyle", "'iso_8601'"),
        ("extra_float_digits", "0"), ("bytea_output", "'escape'"), ("search_path", "'nowhere'"),
    ):  # fmt: skip
        await desk.run(f"alter database {desk.database} set {name} = {value}")
    assert (await seen(desk)).tables == one.tables


async def test_a_checksum_is_the_same_on_every_version(desk: Desk) -> None:
    """So that a dump can be compared after it was restored into a newer server."""
    await desk.run(
        "create table t (id int primary key, v text, n numeric, f float8, j json, a text[])",
        """insert into t select g, 'ä' || g, g / 7.0, g / 3.0::float8, '{"a": 1}', array['x', null]
           from generate_series(1, 50) g""",
    )
    assert (await seen(desk)).by_name()["public.t"].checksum == "-31536764686236640678"


async def test_pairs_of_equal_rows_do_not_cancel_out(desk: Desk) -> None:
    await desk.run("create table t (v int)", "insert into t values (1)")
    one = (await seen(desk)).by_name()["public.t"]
    await desk.run("insert into t values (2), (2)")
    await desk.run("delete from t where v = 1", "insert into t values (1)")
    other = (await seen(desk)).by_name()["public.t"]
    assert (one.rows, other.rows) == (1, 3)
    assert one.checksum != other.checksum


async def test_a_large_table_is_sampled_by_its_key_and_the_sample_repeated(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.run(*MANY)
    monkeypatch.setattr(contents, "SMALL", 1)
    monkeypatch.setattr(contents, "PACE", 1000.0)
    first = (await seen(desk)).by_name()
    assert (first["public.t"].rows, first["public.t"].sample) == (20000, contents.SAMPLE)
    assert first["public.keyless"].rows == 20000
    assert first["public.keyless"].checksum == ""
    assert "no primary key" in first["public.keyless"].why
    monkeypatch.undo()
    like = Wanted(seconds=60, like=tuple(first.values()))
    assert (await seen(desk, like)).by_name()["public.t"] == first["public.t"]
    assert (await seen(desk)).by_name()["public.t"].checksum != first["public.t"].checksum
    await desk.run("update t set v = 'x' where hashtextextended(row(id)::text collate \"C\", 0) % 100 = 0")
    assert (await seen(desk, like)).by_name()["public.t"].checksum != first["public.t"].checksum


async def test_what_does_not_fit_the_time_is_an_estimate_and_says_so(desk: Desk) -> None:
    await desk.run(*MANY)
    found = (await seen(desk, Wanted(seconds=0.0))).by_name()["public.t"]
    assert (found.rows, found.exact, found.checksum) == (20000, False, "")
    assert found.why == "the time given was up"


async def test_a_table_that_is_locked_costs_the_others_nothing(desk: Desk) -> None:
    await desk.run(*MANY, "create table slow (id int)")
    other = await desk.session()
    async with other.transaction():
        await other.execute("lock table slow in access exclusive mode")
        found = (await seen(desk, Wanted(seconds=8.0))).by_name()
    assert (found["public.slow"].exact, found["public.slow"].why) == (False, "somebody locks it")
    assert found["public.t"].rows == 20000


async def test_of_a_table_the_login_may_not_read_there_is_an_estimate_and_the_grant_named(desk: Desk) -> None:
    await desk.run(*MANY)
    found = (await desk.engine.contents(desk.database, ALL)).by_name()["public.t"]
    assert (found.rows, found.exact, found.checksum) == (20000, False, "")
    assert "dbdeck_monitor may not read it: GRANT pg_read_all_data TO dbdeck_monitor;" in found.why


async def test_a_snapshot_does_not_see_what_comes_later_and_pg_dump_can_share_it(
    desk: Desk, tmp_path: Path
) -> None:
    await desk.run(*MANY)
    engine = await desk.seeing()
    now = await desk.admin.fetchval("select clock_timestamp()")
    async with engine.snapshot(desk.database) as held:
        await desk.run("delete from t where id <= 10", "create table late (id int)", "drop table keyless")
        found = (await held.contents(ALL)).by_name()
        assert found["public.t"].rows == 20000
        assert "public.late" not in found
        assert "table" in (await held.inventory()).objects
        dump = str(tmp_path / "d")
        await tool(
            desk.server, "pg_dump", "-Fc", "-d", desk.database, "-t", "t", "--snapshot", held.id, "-f", dump
        )
        assert abs(held.taken_at - now) < timedelta(seconds=5)
        assert await desk.admin.fetchval("select $1::text::pg_lsn <= pg_current_wal_lsn()", held.position)
    await desk.run("create database again")
    try:
        await tool(desk.server, "pg_restore", "-d", "again", dump)
        assert (await engine.contents("again", ALL)).by_name()["public.t"] == found["public.t"]
    finally:
        await desk.run("drop database again with (force)")


async def test_a_snapshot_survives_idling_and_a_table_that_cannot_be_read(desk: Desk) -> None:
    await desk.run(*MANY, "alter table t enable row level security")
    engine = await desk.seeing()
    await desk.run(f"alter role {SEER} set idle_in_transaction_session_timeout = '1s'")
    async with engine.snapshot(desk.database) as held:
        assert (await held.contents(ALL)).by_name()["public.t"].rows is None
        await asyncio.sleep(1.5)
        assert (await held.contents(ALL)).by_name()["public.keyless"].rows == 20000


async def test_nothing_stays_of_a_snapshot_that_was_let_go(desk: Desk) -> None:
    engine = await desk.seeing()
    async with engine.snapshot(desk.database):
        pass
    sql = "select count(*) from pg_stat_activity where application_name = 'dbdeck snapshot'"
    assert await desk.admin.fetchval(sql) == 0


async def test_a_question_gets_its_first_value_as_text(desk: Desk) -> None:
    await desk.run(*MANY, "create schema other", "create table other.mine as select 7 as n",
                   f"alter database {desk.database} set search_path = other")  # fmt: skip
    engine = await desk.seeing()
    for sql, expected in (
        ("select count(*) > 0 from public.t;", "true"),
        ("select 1 = 2, 'more'", "false"),
        ("with x as (select n from mine) select * from x -- of the path", "7"),
        ("select null", None),
        ("select 1 where false", None),
        ("select timestamptz '2026-01-02 03:04:05+01'", "2026-01-02 02:04:05+00"),
        ("values ('{question}')", "{question}"),
    ):
        assert await engine.ask(desk.database, sql, seconds=5) == expected


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("with x as (delete from public.t returning *) select count(*) from x", "WITH|read-only"),
        ("select nextval('s')", "read-only"),
        ("select set_config('transaction_read_only', 'off', false)", "read-write"),
        ("select pg_sleep(10)", "timeout"),
        ("select 1; select 2", "syntax"),
        ("select nonsense", "nonsense"),
    ],
)
async def test_a_question_changes_nothing_and_says_what_was_wrong(desk: Desk, sql: str, why: str) -> None:
    await desk.run(*MANY, "create sequence s")
    await desk.run(
        "grant all on all tables in schema public to public", "grant usage on sequence s to public"
    )
    with pytest.raises(ActionFailed, match=why):
        await desk.engine.ask(desk.database, sql, seconds=0.5)
    assert await desk.admin.fetchval("select count(*) from t") == 20000


async def test_databases_are_those_with_data_of_users(desk: Desk) -> None:
    found = await desk.engine.databases()
    assert desk.database in found
    assert "postgres" in found
    assert not {"template0", "template1"} & set(found)


async def test_a_database_that_is_not_there_is_an_error(desk: Desk) -> None:
    with pytest.raises(LoginRefused, match="does not exist"):
        await desk.engine.inventory("not_there")
    with pytest.raises(LoginRefused, match="does not exist"):
        await desk.engine.contents("not_there", ALL)
