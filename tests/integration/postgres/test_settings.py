"""One setting at each scope, on real servers: what is set there, and what sessions get otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import PrivilegeMissing, UsageError
from console.model.settings import Setting
from tests.servers.accounts import MONITOR, PASSWORDS, login
from tests.servers.postgres import PostgresServer
from tests.targets import target_of

EVERYWHERE = ("server", "role", "database", "role in database")


@pytest_asyncio.fixture
async def engine(postgres: PostgresServer) -> AsyncIterator[Engine]:
    async with open_engine(target_of(postgres)) as opened:
        yield opened


async def ask(engine: Engine, name: str, role: str = "", database: str = "") -> Setting:
    found = await engine.setting(name, role=role, database=database)
    assert found is not None
    return found


async def execute(postgres: PostgresServer, *statements: str) -> None:
    admin = await postgres.connect()
    for statement in statements:
        await admin.execute(statement)
    await admin.close()


async def test_a_number_is_described_in_full(engine: Engine) -> None:
    one = await ask(engine, "work_mem")
    assert (one.value, one.server_value, one.unit, one.kind) == (None, "4096", "kB", "integer")
    assert (one.smallest, one.largest) == ("64", "2147483647")
    assert (one.scopes, one.restart, one.server_known) == (EVERYWHERE, False, True)
    assert one.summary


@pytest.mark.parametrize(
    ("name", "scopes", "restart"),
    [
        ("max_connections", ("server",), True),
        ("autovacuum_naptime", ("server",), False),
        ("log_connections", ("server",), False),
        ("block_size", (), False),
        ("data_directory", (), True),
        ("deadlock_timeout", EVERYWHERE, False),
        ("wal_level", ("server",), True),
    ],
)
async def test_scopes_follow_the_context(
    engine: Engine, name: str, scopes: tuple[str, ...], restart: bool
) -> None:
    one = await ask(engine, name)
    assert (one.scopes, one.restart) == (scopes, restart)
    if name == "wal_level":
        assert one.choices == ("minimal", "replica", "logical")


async def test_an_entry_is_that_of_exactly_its_scope(engine: Engine, postgres: PostgresServer) -> None:
    database = await postgres.new_database()
    try:
        await execute(
            postgres,
            "alter role app_user set work_mem = '8MB'",
            f"alter database {database} set work_mem = '16MB'",
            f"alter role app_user in database {database} set work_mem = '32MB'",
        )
        role = await ask(engine, "work_mem", role="app_user")
        assert (role.value, role.server_value) == ("8MB", "4096")
        inside = await ask(engine, "WORK_MEM", role="app_user", database=database)
        assert (inside.value, inside.server_value) == ("32MB", "8MB")
        here = await ask(engine, "work_mem", database=database)
        assert (here.value, here.server_value) == ("16MB", "4096")
        await execute(postgres, "create role unset_here")
        assert (await ask(engine, "work_mem", role="unset_here")).value is None
    finally:
        await execute(postgres, "alter role app_user reset all", "drop role if exists unset_here")


async def test_entries_that_win_for_some_are_named(engine: Engine, postgres: PostgresServer) -> None:
    """A setting that no other test has entries of: a dozen of them is what is told."""
    database = await postgres.new_database()
    try:
        await execute(
            postgres,
            "alter role app_user set temp_buffers = '8MB'",
            f"alter database {database} set temp_buffers = '16MB'",
            f"alter role app_user in database {database} set temp_buffers = '32MB'",
        )
        inside = f"role app_user in database {database}"
        role = await ask(engine, "temp_buffers", role="app_user")
        assert {(one.where, one.value, one.wins) for one in role.others} >= {
            (inside, "32MB", True),
            (f"database {database}", "16MB", False),
        }
        here = await ask(engine, "temp_buffers", database=database)
        assert {(one.where, one.wins) for one in here.others} >= {("role app_user", True), (inside, True)}
        assert not any(one.where.startswith("database") for one in here.others)
        server = await ask(engine, "temp_buffers")
        assert {one.where for one in server.others} >= {"role app_user", f"database {database}", inside}
        assert all(one.wins for one in server.others)
        assert (await ask(engine, "temp_buffers", role="app_user", database=database)).others == ()
        await execute(postgres, "alter role all set temp_buffers = '1MB'")
        assert "all roles" in {one.where for one in (await ask(engine, "temp_buffers")).others}
        assert (await ask(engine, "temp_buffers")).covered == "the entry for all roles"
    finally:
        await execute(postgres, "alter role app_user reset all", "alter role all reset temp_buffers")


async def test_our_own_limits_are_not_taken_for_the_servers(engine: Engine, postgres: PostgresServer) -> None:
    one = await ask(engine, "statement_timeout")
    assert (one.value, one.server_value, one.server_known) == (None, "0", True)
    try:
        await execute(postgres, "alter system set statement_timeout = '7s'", "select pg_reload_conf()")
        await asyncio.sleep(0.5)
        one = await ask(engine, "statement_timeout", role="app_user")
        assert (one.value, one.server_value) == (None, "7000")
        assert (await ask(engine, "statement_timeout")).value == "7000"
    finally:
        await execute(postgres, "alter system reset statement_timeout", "select pg_reload_conf()")


async def test_what_our_own_login_covers_is_unknown_and_not_guessed(postgres: PostgresServer) -> None:
    await execute(
        postgres,
        "drop role if exists tuned",
        f"create role tuned login password '{PASSWORDS[MONITOR]}' in role pg_monitor",
        "alter role tuned set work_mem = '1MB'",
    )
    async with open_engine(target_of(postgres, monitor={**login(MONITOR), "user": "tuned"})) as engine:
        one = await ask(engine, "work_mem", role="app_user")
        assert (one.value, one.server_value, one.server_known) == (None, "", False)
        assert "covered by an entry for the user" in one.notes[0]
        own = await ask(engine, "work_mem", role="tuned")
        assert own.value == "1MB"


async def test_unknown_names(engine: Engine) -> None:
    assert await engine.setting("no_such_setting") is None
    with pytest.raises(UsageError, match="no role 'nobody_here'"):
        await engine.setting("work_mem", role="nobody_here")
    with pytest.raises(UsageError, match="no database 'nowhere'"):
        await engine.setting("work_mem", database="nowhere")


async def test_a_hidden_setting_is_not_an_unknown_one(postgres: PostgresServer) -> None:
    await execute(
        postgres, f"drop role if exists plain; create role plain login password '{PASSWORDS[MONITOR]}'"
    )
    async with open_engine(target_of(postgres, monitor={**login(MONITOR), "user": "plain"})) as engine:
        with pytest.raises(PrivilegeMissing, match="hidden from plain"):
            await engine.setting("no_such_setting")
        assert (await ask(engine, "work_mem")).server_value == "4096"
