"""Global variables of real servers."""

from __future__ import annotations

from typing import Any

import pytest
from pymysql.err import MySQLError

from console.engine.mysql.engine import MysqlEngine
from console.engine.mysql.read_only import _NAMES
from console.errors import UsageError
from tests.integration.mysql.conftest import Crowd

READ_ONLY, UNKNOWN = 1238, 1193


async def test_a_number(crowd: Crowd, engine: MysqlEngine) -> None:
    found = await engine.setting("max_connections")
    assert found is not None
    assert (found.name, found.server_value, found.value, found.kind) == (
        "max_connections",
        "800",
        None,
        "integer",
    )
    assert (found.smallest, found.largest) == ("1" if crowd.server.flavor == "mysql" else "10", "100000")
    assert (found.scopes, found.restart, found.choices) == (("server",), False, ())
    assert "simultaneous" in found.summary


async def test_what_takes_a_restart(engine: MysqlEngine) -> None:
    found = await engine.setting("PORT")
    assert found is not None
    assert found.restart


async def test_our_own_session_does_not_count(engine: MysqlEngine) -> None:
    """Its lock_wait_timeout is 2, and its time zone UTC."""
    found = await engine.setting("lock-wait-timeout")
    assert found is not None
    assert int(found.server_value) > 2
    zone = await engine.setting("time_zone")
    assert zone is not None
    assert zone.server_value == "SYSTEM"


async def test_choices(crowd: Crowd, engine: MysqlEngine) -> None:
    found = await engine.setting("binlog_format")
    assert found is not None
    assert found.kind == "enum"
    if crowd.server.flavor == "mariadb":
        assert found.choices == ("MIXED", "STATEMENT", "ROW")
    on = await engine.setting("general_log")
    assert on is not None
    assert (on.kind, on.server_value) == ("bool", "OFF")


async def test_names_that_are_none(engine: MysqlEngine) -> None:
    for name in ("no_such_thing", "timestamp", "%", "max_connections' or '1'='1"):
        assert await engine.setting(name) is None


async def test_there_is_no_other_scope(engine: MysqlEngine) -> None:
    scopes: list[dict[str, Any]] = [{"role": "app"}, {"database": "shop"}, {"table": ("shop", "orders")}]
    for scope in scopes:
        with pytest.raises(UsageError):
            await engine.setting("max_connections", **scope)


async def test_a_persisted_value(crowd: Crowd, engine: MysqlEngine) -> None:
    if crowd.server.flavor != "mysql":
        pytest.skip("MariaDB persists nothing")
    root = await crowd.root()
    await root.ask("set persist_only max_connections = 900")
    try:
        found = await engine.setting("max_connections")
    finally:
        await root.ask("reset persist max_connections")
    assert found is not None
    assert (found.value, found.server_value) == ("900", "800")


async def test_the_list_of_read_only_ones_is_true(crowd: Crowd) -> None:
    """Each is refused by the server itself, or unknown to this version."""
    if crowd.server.flavor != "mysql":
        pytest.skip("MariaDB tells by itself")
    root = await crowd.root()
    for name in sorted(_NAMES):
        with pytest.raises(MySQLError) as refused:
            await root.ask(f"set global {name} = default")
        assert refused.value.args[0] in (READ_ONLY, UNKNOWN), name


async def test_there_are_no_slots(engine: MysqlEngine) -> None:
    assert await engine.slots() == ()
