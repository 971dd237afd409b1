"""The list of storage parameters is what the servers take: at the bounds, beyond them, for TOAST tables."""

from __future__ import annotations

import asyncpg
import pytest
import pytest_asyncio

from console.engine.postgres.storage_parameters import Parameter, of
from tests.servers.postgres import PostgresServer


@pytest_asyncio.fixture
async def database(postgres: PostgresServer) -> str:
    made = await postgres.new_database()
    admin = await postgres.connect(database=made)
    await admin.execute("create table t (id int, note text); create materialized view m as select 1 as x")
    await admin.close()
    return made


async def refusal(postgres: PostgresServer, database: str, *pairs: str) -> list[str]:
    """What the server refused, of these assignments."""
    admin = await postgres.connect(database=database)
    found = []
    try:
        for pair in pairs:
            try:
                await admin.execute(f"alter table t set ({pair})")
            except asyncpg.PostgresError:
                found.append(pair)
    finally:
        await admin.close()
    return found


def values(one: Parameter) -> tuple[list[str], list[str]]:
    """Some that are taken and some that are not."""
    if one.kind == "bool":
        return ["on", "false"], ["perhaps"]
    if one.kind == "enum":
        return list(one.choices), ["perhaps"]
    bounds = [bound for bound in (one.smallest, one.largest) if bound is not None]
    beyond = [] if one.smallest is None else [str(int(one.smallest) - 1)]
    beyond += [] if one.largest is None else [str(int(one.largest) + 1)]
    return bounds, [*beyond, "2ms"]


async def test_each_is_taken_within_its_bounds_and_not_beyond(
    postgres: PostgresServer, database: str
) -> None:
    good, bad = [], []
    for one in of(postgres.major * 10000):
        within, beyond = values(one)
        good += [f"{one.name} = '{value}'" for value in within]
        bad += [f"{one.name} = '{value}'" for value in beyond]
        (good if one.toast else bad).append(f"toast.{one.name} = '{within[0]}'")
    assert await refusal(postgres, database, *good) == []
    assert await refusal(postgres, database, *bad) == bad


async def test_each_lock_is_as_said(postgres: PostgresServer, database: str) -> None:
    """By the locks that a transaction holds after it has set one."""
    admin = await postgres.connect(database=database)
    try:
        for one in of(postgres.major * 10000):
            transaction = admin.transaction()
            await transaction.start()
            await admin.execute(f"alter table t set ({one.name} = '{values(one)[0][0]}')")
            held = await admin.fetch(
                "select mode from pg_locks where pid = pg_backend_pid() and relation = 't'::regclass"
            )
            assert [row["mode"] for row in held] == [f"{one.lock}Lock"], one.name
            await transaction.rollback()
    finally:
        await admin.close()


async def test_what_applies_otherwise_is_a_setting_of_the_server(postgres: PostgresServer) -> None:
    admin = await postgres.connect()
    known = {row["name"] for row in await admin.fetch("select name from pg_settings")}
    await admin.close()
    missing = {one.server for one in of(postgres.major * 10000) if one.server} - known
    assert missing == (set() if postgres.major >= 18 else {"vacuum_truncate"})


@pytest.mark.parametrize("name", ["no_such_parameter", "FillFactor"])
async def test_names_are_lower_case(postgres: PostgresServer, database: str, name: str) -> None:
    assert await refusal(postgres, database, f'"{name}" = 50') == [f'"{name}" = 50']
