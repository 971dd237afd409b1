"""Settings that are read at the start of the server: written, waiting, and true after a real restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from actions.settings import ResetSetting, SetSetting
from console.dispatch.action import Plan
from console.errors import Exit, Refused
from tests.integration.actions.conftest import Desk, desk_on, superuser, until
from tests.integration.actions.test_settings import PERSISTED, undo
from tests.servers import accounts
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

# One that postgresql.conf has in the test servers, and one that runs by its compiled default.
FILE, DEFAULT = "max_connections", "max_locks_per_transaction"
NEXT = "it takes effect at the next restart"
SEES = f"on function pg_show_all_file_settings() to {accounts.MONITOR}"


@pytest_asyncio.fixture(params=["files hidden", "files shown"])
async def desk(
    postgres: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Desk]:
    shown = request.param == "files shown"
    await superuser(
        postgres,
        f"grant alter system on parameter {FILE}, {DEFAULT} to {accounts.OPERATOR}",
        f"grant execute on function pg_reload_conf() to {accounts.OPERATOR}",
        f"grant execute {SEES}" if shown else "select 1",
    )
    async with desk_on(postgres, tmp_path) as made:
        yield made
    await superuser(
        postgres,
        "alter system reset all",
        f"revoke alter system on parameter {FILE}, {DEFAULT} from {accounts.OPERATOR}",
        f"revoke execute on function pg_reload_conf() from {accounts.OPERATOR}",
        f"revoke execute {SEES.replace(' to ', ' from ')}",
    )
    await asyncio.to_thread(postgres.restart)


def shown(request: pytest.FixtureRequest) -> bool:
    return "files shown" in request.node.name


async def applied(desk: Desk, action: str, **given: Any) -> Plan:
    plan = await desk.plan(action, **given)
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None), run
    assert run.verify is not None
    assert NEXT in run.verify.summary or "runs with it already" in run.verify.summary
    return plan


async def running(desk: Desk, name: str) -> str:
    return str((await desk.as_superuser(f"show {name}"))[0][0])


async def pending(desk: Desk, name: str) -> bool:
    rows = await desk.as_superuser(f"select pending_restart from pg_settings where name = '{name}'")
    return bool(rows[0][0])


async def entry(desk: Desk, name: str) -> str | None:
    """What ALTER SYSTEM wrote."""
    rows = await desk.as_superuser(
        f"select setting from pg_file_settings where name = '{name}' and sourcefile like '%auto.conf'"
    )
    return str(rows[0][0]) if rows else None


async def restart(desk: Desk) -> None:
    """The server anew; our own connections come back by themselves."""
    await asyncio.to_thread(desk.server.restart)

    async def answers() -> bool:
        try:
            await desk.engine.identity()
        except Exception:  # noqa: BLE001 - whatever a connection says that lost its server
            return False
        return True

    await until(answers)


@pytest.mark.parametrize(("name", "value"), [(FILE, "900"), (DEFAULT, "96")])
async def test_there_over_a_restart_and_back_over_another(desk: Desk, name: str, value: str) -> None:
    before = await running(desk, name)
    plan = await applied(desk, "setting.set", name=name, value=value, scope="server")
    assert f"running now: {before}; that stays until the server is restarted" in plan.forecast
    assert f"after the restart: {value}" in plan.forecast
    assert any("only after a restart" in line for line in plan.warnings)
    assert (await running(desk, name), await pending(desk, name)) == (before, True)
    await restart(desk)
    assert (await running(desk, name), await pending(desk, name)) == (value, False)
    await undo(desk, plan)
    assert await running(desk, name) == value
    await restart(desk)
    assert await running(desk, name) == before


@pytest.mark.parametrize(("name", "value"), [(FILE, "900"), (DEFAULT, "96")])
async def test_back_before_the_restart(
    desk: Desk, name: str, value: str, request: pytest.FixtureRequest
) -> None:
    before = await running(desk, name)
    plan = await applied(desk, "setting.set", name=name, value=value, scope="server")
    await undo(desk, plan)
    assert await entry(desk, name) == (None if shown(request) or name == FILE else before)
    await restart(desk)
    assert await running(desk, name) == before


async def test_what_waits_already_is_told_and_kept_for_undo_where_it_can_be_seen(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    first = {"name": FILE, "value": "900", "scope": "server"}
    await applied(desk, "setting.set", **first)
    plan = await desk.plan("setting.set", **first | {"value": "800"})
    if not shown(request):
        assert "restart pending: another value waits, which is hidden" in plan.forecast
        with pytest.raises(Refused, match=r"nobody could tell .* pg_show_all_file_settings"):
            await desk.apply(plan)
        return
    assert "restart pending: the next start would take 900" in plan.forecast
    assert (await desk.apply(plan)).effect == "applied"
    assert await entry(desk, FILE) == "800"
    await undo(desk, plan)
    assert await entry(desk, FILE) == "900"
    same = await desk.plan("setting.set", **first)
    assert same.forecast[1] == "restart pending: the next start would take 900"
    assert (await desk.apply(same)).effect == "no_op"


async def test_what_runs_and_does_not_wait_needs_nothing(desk: Desk, request: pytest.FixtureRequest) -> None:
    value = await running(desk, FILE)
    run = await desk.run("setting.set", name=FILE, value=value, scope="server")
    assert (run.effect, run.exit) == ("applied" if shown(request) else "no_op", Exit.OK)
    gone = await desk.run("setting.reset", name=DEFAULT, scope="server")
    assert (gone.effect, gone.exit) == ("no_op", Exit.OK)


async def test_reconcile_tells_what_is_written_from_what_is_not(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    given = {"name": DEFAULT, "scope": "server"}
    action, see = SetSetting(), shown(request)
    plan = await desk.plan("setting.set", value="96", **given)

    async def verdict() -> str:
        return (await action.verify(plan, desk.engine, patience=0)).state

    assert await verdict() == ("not_applied" if see else "undecidable")
    await desk.as_superuser(f"alter system set {DEFAULT} = 96")
    assert await verdict() == ("applied" if see else "undecidable"), "written, and not reloaded"
    await desk.as_superuser("select pg_reload_conf()")

    async def waits() -> bool:
        return await pending(desk, DEFAULT)

    await until(waits)
    assert await verdict() == "applied"
    if see:
        back = await desk.plan("setting.reset", **given)
        assert (await ResetSetting().verify(back, desk.engine, patience=0)).state == "not_applied"


async def test_what_dbdeck_does_not_set_is_refused_for_the_next_start_too(desk: Desk) -> None:
    for name, value in (("shared_preload_libraries", "x"), ("unix_socket_permissions", "511")):
        with pytest.raises(Refused, match="not set by dbdeck"):
            await desk.run("setting.set", name=name, value=value, scope="server")


async def test_without_the_rights_they_are_named(postgres: PostgresServer, tmp_path: Path) -> None:
    given = {"name": FILE, "value": "900", "scope": "server"}
    async with desk_on(postgres, tmp_path) as desk:
        with pytest.raises(Refused, match=r"GRANT EXECUTE ON FUNCTION pg_reload_conf\(\)"):
            await desk.run("setting.set", **given)
        await desk.as_superuser(f"grant execute on function pg_reload_conf() to {accounts.OPERATOR}")
        try:
            with pytest.raises(Refused, match=f"GRANT ALTER SYSTEM ON PARAMETER {FILE} TO"):
                await desk.run("setting.set", **given)
            assert "intent" not in await desk.kinds()
            assert await entry(desk, FILE) is None
        finally:
            await desk.as_superuser(f"revoke execute on function pg_reload_conf() from {accounts.OPERATOR}")


# ---- MySQL and MariaDB -------------------------------------------------------------------------

START = "table_open_cache_instances"


@pytest_asyncio.fixture
async def variables(mysql: MysqlServer, tmp_path: Path) -> AsyncIterator[Desk]:
    rights = "SYSTEM_VARIABLES_ADMIN, PERSIST_RO_VARIABLES_ADMIN" if mysql.flavor == "mysql" else "SUPER"
    await superuser(mysql, f"grant {rights} on *.* to {accounts.OPERATOR}@'%'")
    async with desk_on(mysql, tmp_path) as made:
        yield made
    await superuser(
        mysql,
        f"revoke {rights} on *.* from {accounts.OPERATOR}@'%'",
        *(["reset persist"] if mysql.flavor == "mysql" else []),
    )


def is_mysql(desk: Desk) -> bool:
    return isinstance(desk.server, MysqlServer) and desk.server.flavor == "mysql"


async def test_a_variable_of_the_start_is_persisted_and_true_after_the_restart(variables: Desk) -> None:
    if not is_mysql(variables):
        pytest.skip("MariaDB persists nothing")
    [(before,)] = await variables.as_superuser(f"select @@global.{START}")
    given = {"name": START, "value": "7", "persist": True}
    plan = await applied(variables, "setting.set", **given)
    assert plan.statements == (f"SET PERSIST_ONLY `{START}` = 7",)
    assert f"running now: {before}; that stays until the server is restarted" in plan.forecast
    assert await variables.as_superuser(PERSISTED) == [("7",)]
    assert await variables.as_superuser(f"select @@global.{START}") == [(before,)]
    again = await variables.run("setting.set", **given)
    assert (again.effect, again.exit) == ("no_op", Exit.OK)
    await restart(variables)
    assert await variables.as_superuser(f"select @@global.{START}") == [(7,)]
    await undo(variables, plan)
    assert await variables.as_superuser(PERSISTED) == []
    await restart(variables)
    assert await variables.as_superuser(f"select @@global.{START}") == [(before,)]


async def test_the_persisted_value_there_was_comes_back(variables: Desk) -> None:
    if not is_mysql(variables):
        pytest.skip("MariaDB persists nothing")
    first = await applied(variables, "setting.set", name=START, value="7", persist=True)
    second = await variables.plan("setting.set", name=START, value="8", persist=True)
    assert "restart pending: the next start would take 7" in second.forecast
    assert (await variables.apply(second)).effect == "applied"
    action = SetSetting()
    assert (await action.verify(second, variables.engine, patience=0)).state == "applied"
    assert (await action.verify(first, variables.engine, patience=0)).state == "not_applied"
    await undo(variables, second)
    assert await variables.as_superuser(PERSISTED) == [("7",)]


async def test_where_nothing_can_be_persisted_the_way_is_named(variables: Desk) -> None:
    why = "persist=true writes it" if is_mysql(variables) else rf"write `{START} = 7` under \[mariadb\]"
    with pytest.raises(Refused, match=why):
        await variables.run("setting.set", name=START, value="7")
    assert "intent" not in await variables.kinds()


async def test_mysql_names_both_rights(mysql: MysqlServer, tmp_path: Path) -> None:
    if mysql.flavor != "mysql":
        pytest.skip("MariaDB persists nothing")
    given = {"name": START, "value": "7", "persist": True}
    await superuser(mysql, f"grant SYSTEM_VARIABLES_ADMIN on *.* to {accounts.OPERATOR}@'%'")
    try:
        async with desk_on(mysql, tmp_path) as desk:
            with pytest.raises(Refused, match=r"GRANT PERSIST_RO_VARIABLES_ADMIN ON \*\.\*"):
                await desk.run("setting.set", **given)
            assert "intent" not in await desk.kinds()
            assert await desk.as_superuser(PERSISTED) == []
    finally:
        await superuser(mysql, f"revoke SYSTEM_VARIABLES_ADMIN on *.* from {accounts.OPERATOR}@'%'")


async def test_what_mysql_does_not_persist_it_refuses_itself(variables: Desk) -> None:
    if not is_mysql(variables):
        pytest.skip("MariaDB persists nothing")
    run = await variables.run("setting.set", name="license", value="x", persist=True)
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run
    assert run.error is not None
    assert "(1238)" in run.error.message
