"""A runbook's own SQL on real servers: bound, bounded, as JSON data, and read-only whatever it says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import ActionFailed
from tests.servers.accounts import APP, PASSWORDS
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import scene
from tests.targets import target_of


@pytest_asyncio.fixture
async def engine(any_server: Server) -> AsyncIterator[Engine]:
    async with open_engine(target_of(any_server)) as opened:
        yield opened


def one(server: Server, postgres: str, mysql: str) -> str:
    return mysql if isinstance(server, MysqlServer) else postgres


async def test_values_are_bound_and_come_back_as_json_data(any_server: Server, engine: Engine) -> None:
    sql = one(
        any_server,
        "select $1::bigint as n, $2::text as t, 1.5::numeric as d, null as nothing",
        "select %s as n, %s as t, 1.5 as d, null as nothing",
    )
    found = await engine.select(sql, (7, "it's; -- %s $1"), seconds=5, limit=10)
    assert found.rows == ({"n": 7, "t": "it's; -- %s $1", "d": 1.5, "nothing": None},)
    assert found.truncated is False


async def test_times_are_iso_in_utc(any_server: Server, engine: Engine) -> None:
    sql = one(
        any_server,
        "select timestamptz '2026-11-01 12:00:00+02' as t",
        "select timestamp'2026-11-01 10:00:00' as t",
    )
    found = await engine.select(sql, (), seconds=5, limit=1)
    assert found.rows[0]["t"] == "2026-11-01T10:00:00+00:00"


async def test_more_rows_than_wanted_are_told(any_server: Server, engine: Engine) -> None:
    sql = one(
        any_server,
        "select g from generate_series(1, 1000000) g",
        "select 1 as g union all select 2 union all select 3",
    )
    found = await engine.select(sql, (), seconds=5, limit=2)
    assert (len(found.rows), found.truncated) == (2, True)


async def test_a_read_that_takes_too_long_is_ended(any_server: Server, engine: Engine) -> None:
    sql = one(
        any_server,
        "select count(*) from generate_series(1, 100000000) a",
        "select count(*) from information_schema.collations a, information_schema.collations b,"
        " information_schema.collations c, information_schema.collations d"
        " where a.id + b.id + c.id + d.id < 0",
    )
    with pytest.raises(ActionFailed):
        await engine.select(sql, (), seconds=0.3, limit=1)


async def test_what_the_server_says_is_told(engine: Engine) -> None:
    with pytest.raises(ActionFailed, match="no_such_column"):
        await engine.select("select no_such_column", (), seconds=5, limit=1)


async def test_a_value_of_another_type_is_told(any_server: Server, engine: Engine) -> None:
    if isinstance(any_server, MysqlServer):
        pytest.skip("its driver has no types of parameters")
    with pytest.raises(ActionFailed):
        await engine.select("select $1::int", ("seven",), seconds=5, limit=1)


async def test_it_writes_nothing_even_where_it_may(
    any_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the application's own login, which may."""
    monkeypatch.setenv("DBDECK_TEST_APP", PASSWORDS[APP])
    writes = one(
        any_server,
        "with x as (update orders set n = 9 returning n) select n from x",
        "update orders set n = 9",
    )
    async with scene(any_server) as shop:
        target = target_of(
            any_server, database=shop.database, monitor={"user": APP, "password": "env:DBDECK_TEST_APP"}
        )
        async with open_engine(target) as opened:
            with pytest.raises(ActionFailed):
                await opened.select(writes, (), seconds=5, limit=1)
            found = await opened.select(
                "select count(*) as c from orders where n = 9", (), seconds=5, limit=1
            )
    assert found.rows == ({"c": 0},)
