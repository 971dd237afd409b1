"""setting.set and setting.reset on real servers, and the way back by the command that the plan names."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.dispatch.action import Plan, Risk
from console.dispatch.registry import pairs
from console.errors import Exit, Refused, Stale, UsageError
from tests.command import Command
from tests.integration.actions.conftest import Desk, desk_on, superuser
from tests.servers import accounts
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

TIMEOUT = "idle_in_transaction_session_timeout"
PERSISTED = "select variable_value from performance_schema.persisted_variables"


@pytest_asyncio.fixture
async def desk(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    """The operator with what it needs for the application's role, and for the server from 15 on."""
    await superuser(
        postgres,
        f"alter role {accounts.OPERATOR} createrole",
        *([f"grant {accounts.APP} to {accounts.OPERATOR} with admin option"] if postgres.major >= 16 else []),
        f"grant alter system on parameter lock_timeout, log_lock_waits to {accounts.OPERATOR}",
        f"grant execute on function pg_reload_conf() to {accounts.OPERATOR}",
    )
    async with desk_on(postgres, tmp_path) as made:
        yield made
    await superuser(
        postgres,
        f"alter role {accounts.APP} reset all",
        "alter system reset all",
        "select pg_reload_conf()",
        f"revoke alter system on parameter lock_timeout, log_lock_waits from {accounts.OPERATOR}",
        f"revoke execute on function pg_reload_conf() from {accounts.OPERATOR}",
        *([f"revoke {accounts.APP} from {accounts.OPERATOR}"] if postgres.major >= 16 else []),
        f"alter role {accounts.OPERATOR} nocreaterole",
    )


async def undo(desk: Desk, plan: Plan) -> None:
    """Runs what the plan says undoes it."""
    words = shlex.split(plan.undo)
    assert (words[:2], words[3:5]) == (["dbdeck", "apply"], ["-t", "t"])
    run = await desk.run(words[2], **pairs(words[5:]))
    assert run.exit == Exit.OK, run


async def entry(desk: Desk, name: str, **scope: Any) -> str | None:
    found = await desk.engine.setting(name, **scope)
    assert found is not None
    return found.value


@pytest.mark.parametrize("scope", ["role", "database", "role in database"])
async def test_there_and_back_at_every_scope(desk: Desk, scope: str) -> None:
    database = await desk.server.new_database()
    await desk.as_superuser(f"alter database {database} owner to {accounts.OPERATOR}")
    where = {"role": accounts.APP} if "role" in scope else {}
    where |= {"database": database} if "database" in scope else {}
    first = await desk.plan("setting.set", name=TIMEOUT, value="30s", **where)
    assert first.risk is Risk.LOW
    run = await desk.apply(first)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert await entry(desk, TIMEOUT, **where) == "30s"
    same = await desk.run("setting.set", name=TIMEOUT, value="30000", **where)
    assert (same.effect, same.exit) == ("no_op", Exit.OK), "30000 ms are 30s"
    second = await desk.plan("setting.set", name=TIMEOUT, value="1min", **where)
    assert (await desk.apply(second)).exit == Exit.OK
    await undo(desk, second)
    assert await entry(desk, TIMEOUT, **where) == "30s"
    await undo(desk, first)
    assert await entry(desk, TIMEOUT, **where) is None


async def test_the_whole_server_with_a_reload(desk: Desk) -> None:
    plan = await desk.plan("setting.set", name="lock_timeout", value="7s", scope="server")
    assert len(plan.statements) == 2
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    rows = await desk.as_superuser("show lock_timeout")
    assert rows == [("7s",)]
    await undo(desk, plan)
    assert await desk.as_superuser("show lock_timeout") == [("0",)]


async def test_the_forecast_names_the_entries_that_win(desk: Desk) -> None:
    database = await desk.server.new_database()
    inside = f"role {accounts.APP} in database {database}"
    await desk.as_superuser(f"alter role {accounts.APP} in database {database} set lock_timeout = '5s'")
    for scope in ({"role": accounts.APP}, {"database": database}, {"scope": "server"}):
        plan = await desk.plan("setting.set", name="lock_timeout", value="7s", **scope)
        told = next(line for line in plan.forecast if line.startswith("new sessions get 7s"))
        assert "except where another entry wins: " in told
        assert f"{inside} has 5s" in told  # databases of earlier tests may have entries as well
    here = {"role": accounts.APP, "database": database}
    plan = await desk.plan("setting.set", name="lock_timeout", value="7s", **here)
    assert "new sessions get 7s" in plan.forecast


async def test_what_is_covered_for_everybody_is_not_set_for_the_server(desk: Desk) -> None:
    await desk.as_superuser("alter role all set lock_timeout = '3s'")
    try:
        plan = await desk.plan("setting.set", name="lock_timeout", value="7s", scope="server")
        assert any("entry for all roles has lock_timeout" in line for line in plan.refusals), plan
        with pytest.raises(Refused, match="change that first"):
            await desk.apply(plan)
    finally:
        await desk.as_superuser("alter role all reset lock_timeout")


async def test_a_list_stays_a_list(desk: Desk) -> None:
    await desk.run("setting.set", name="search_path", value='"$user", shop, public', role=accounts.APP)
    assert await entry(desk, "search_path", role=accounts.APP) == '"$user", shop, public'


async def test_a_hostile_value_is_one_value(desk: Desk) -> None:
    hostile = "'x'; alter role app_user superuser; -- \\"
    run = await desk.run("setting.set", name="application_name", value=hostile, role=accounts.APP)
    assert run.exit == Exit.OK, run
    assert await entry(desk, "application_name", role=accounts.APP) == hostile
    rows = await desk.as_superuser(f"select rolsuper from pg_roles where rolname = '{accounts.APP}'")
    assert rows == [(False,)]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"value": "soon"}, "it is a number in ms"),
        ({"value": "-5"}, "from 0 to 2147483647 ms"),
        ({"value": "30kB"}, "it is a number in ms"),
        ({"name": "no_such_setting", "value": "1"}, "knows no setting"),
        ({"name": "default_transaction_isolation", "value": "loose"}, "it is one of"),
        ({"name": "enable_seqscan", "value": "maybe"}, "it is on or off"),
        ({"role": "", "value": "1"}, "for whom"),
        ({"value": "1", "persist": True}, "no SET PERSIST"),
        ({"name": "max_connections", "value": "10"}, "cannot be set for a role"),
    ],
)
async def test_a_value_or_a_scope_that_the_server_would_refuse(
    desk: Desk, given: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        await desk.plan("setting.set", **{"name": TIMEOUT, "role": accounts.APP} | given)
    assert "nothing was" in refused.value.message


@pytest.mark.parametrize(
    "name", ["session_preload_libraries", "password_encryption", "session_replication_role"]
)
async def test_security_and_data_are_not_dbdecks_to_set(desk: Desk, name: str) -> None:
    value = {"password_encryption": "md5", "session_replication_role": "replica"}.get(name, "x")
    with pytest.raises(Refused, match="not set by dbdeck"):
        await desk.run("setting.set", name=name, value=value, role=accounts.APP)
    assert "intent" not in await desk.kinds()


async def test_one_that_changed_since_the_plan_is_stale(desk: Desk) -> None:
    plan = await desk.plan("setting.set", name=TIMEOUT, value="30s", role=accounts.APP)
    await desk.as_superuser(f"alter role {accounts.APP} set {TIMEOUT} = '1h'")
    with pytest.raises(Stale, match="1h"):
        await desk.apply(plan)


async def test_without_the_right_it_is_refused_and_the_grant_named(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    me = accounts.MAINTAINER
    async with desk_on(postgres, tmp_path, operator=accounts.login(me)) as desk:
        for given, grant in (
            ({"scope": "server"}, f"GRANT ALTER SYSTEM ON PARAMETER {TIMEOUT} TO {me}"),
            ({"role": "postgres"}, "postgres is a superuser"),
            ({"role": accounts.APP}, f"ALTER ROLE {me} CREATEROLE"),
            ({"role": accounts.APP, "database": "postgres"}, f"ALTER ROLE {me} CREATEROLE"),
            ({"database": "postgres"}, f"GRANT postgres TO {me}"),
        ):
            plan = await desk.plan("setting.set", name=TIMEOUT, value="5s", **given)
            assert any(grant in line for line in plan.warnings)
            with pytest.raises(Refused) as refused:
                await desk.apply(plan)
            assert grant in refused.value.message
        with pytest.raises(Refused, match="GRANT SET ON PARAMETER log_lock_waits"):
            await desk.run("setting.set", name="log_lock_waits", value="on", role=me)
        assert "intent" not in await desk.kinds()
        own = await desk.run("setting.set", name=TIMEOUT, value="5s", role=me)
        assert (own.effect, own.exit) == ("applied", Exit.OK), own
        await desk.run("setting.reset", name=TIMEOUT, role=me)


async def test_the_command_sets_and_resets(desk: Desk, tmp_path: Path) -> None:
    command = Command(tmp_path, {"t": desk.server.target_dict()})
    words = ("-t", "t", "--json", "--yes", "--reason", "a test", f"name={TIMEOUT}", f"role={accounts.APP}")
    done = await command.run("apply", "setting.set", *words, "value=45s")
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    gone = await command.run("apply", "setting.reset", *words)
    assert (gone.code, gone.document["effect"]) == (0, "applied"), gone
    again = await command.run("apply", "setting.reset", *words)
    assert (again.code, again.document["effect"]) == (0, "no_op"), again


# ---- MySQL and MariaDB -------------------------------------------------------------------------


@pytest_asyncio.fixture
async def variables(mysql: MysqlServer, tmp_path: Path) -> AsyncIterator[Desk]:
    right = "SYSTEM_VARIABLES_ADMIN" if mysql.flavor == "mysql" else "SUPER"
    await superuser(
        mysql,
        f"grant {right} on *.* to {accounts.OPERATOR}@'%'",
        "set global innodb_print_all_deadlocks = off",
    )
    async with desk_on(mysql, tmp_path) as made:
        yield made
    await superuser(
        mysql,
        f"revoke {right} on *.* from {accounts.OPERATOR}@'%'",
        "set global lock_wait_timeout = default",
        "set global innodb_print_all_deadlocks = on",  # as the servers of the tests are started
        *(["reset persist"] if mysql.flavor == "mysql" else []),
    )


async def test_without_the_right_over_variables_it_is_refused(mysql: MysqlServer, tmp_path: Path) -> None:
    async with desk_on(mysql, tmp_path, operator=accounts.login(accounts.MAINTAINER)) as desk:
        right = "SYSTEM_VARIABLES_ADMIN" if mysql.flavor == "mysql" else "SUPER"
        with pytest.raises(Refused, match=f"{right} on ...: GRANT {right} ON"):
            await desk.run("setting.set", name="lock_wait_timeout", value="77")
        assert "intent" not in await desk.kinds()


async def test_a_global_variable_there_and_back(variables: Desk) -> None:
    before = await variables.as_superuser("select @@global.lock_wait_timeout")
    plan = await variables.plan("setting.set", name="lock_wait_timeout", value="77")
    assert plan.risk is Risk.LOW
    assert plan.statements == ("SET GLOBAL `lock_wait_timeout` = 77",)
    run = await variables.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert await variables.as_superuser("select @@global.lock_wait_timeout") == [(77,)]
    again = await variables.run("setting.set", name="lock-wait-timeout", value="77")
    assert (again.effect, again.exit) == ("no_op", Exit.OK)
    await undo(variables, plan)
    assert await variables.as_superuser("select @@global.lock_wait_timeout") == before


async def test_a_switch_is_on_by_any_word(variables: Desk) -> None:
    await variables.as_superuser("set global innodb_print_all_deadlocks = off")
    run = await variables.run("setting.set", name="innodb_print_all_deadlocks", value="on")
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    again = await variables.run("setting.set", name="innodb_print_all_deadlocks", value="1")
    assert again.effect == "no_op"
    reset = await variables.run("setting.reset", name="innodb_print_all_deadlocks")
    assert (reset.effect, reset.exit) == ("applied", Exit.OK)
    assert await variables.as_superuser("select @@global.innodb_print_all_deadlocks") == [(0,)]


async def test_persist_is_mysqls(variables: Desk) -> None:
    given = {"name": "lock_wait_timeout", "value": "99", "persist": True}
    server = variables.server
    if isinstance(server, MysqlServer) and server.flavor == "mariadb":
        with pytest.raises(UsageError, match="no SET PERSIST"):
            await variables.plan("setting.set", **given)
        return
    plan = await variables.plan("setting.set", **given)
    run = await variables.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert await variables.as_superuser(PERSISTED) == [("99",)]
    reset = await variables.run("setting.reset", name="lock_wait_timeout", persist=True)
    assert (reset.effect, reset.exit) == ("applied", Exit.OK)
    assert await variables.as_superuser(PERSISTED) == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"value": "soon"}, "it is a number"),
        ({"value": "99999999999"}, "to 31536000"),
        ({"value": "1", "role": "app"}, "no settings of a role"),
        ({"name": "no_such_variable", "value": "1"}, "knows no setting"),
    ],
)
async def test_what_mysql_would_refuse(variables: Desk, given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        await variables.plan("setting.set", **{"name": "lock_wait_timeout"} | given)
