"""connections-exhausted: a role, or the whole server, that takes nobody in any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from pymysql.err import MySQLError

from tests.command import Command
from tests.running import end, ended, killed_again_and_again, on, plan, run
from tests.servers.accounts import APP, MONITOR, OPERATOR, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Client, Scene

RUNBOOK = "connections-exhausted"


async def admin(server: Server, *statements: str) -> None:
    client = await Client.open(server, "mysql" if isinstance(server, MysqlServer) else "postgres", user=None)
    for sql in statements:
        await client.run(sql)
    await client.close()


async def took(server: Server, *statements: str) -> bool:
    """Root has one connection more than others, and a command may have it for a moment yet."""
    try:
        await admin(server, *statements)
    except MySQLError:
        return False
    return True


@asynccontextmanager
async def full(shop: Scene, *, idle: int) -> AsyncIterator[list[Client]]:
    """Nobody is let in any more, and who is there idles: a role's limit in PostgreSQL, else the server's."""
    clients = [await shop.client("web") for _ in range(idle)]
    if isinstance(shop.server, MysqlServer):
        lower, raised = [f"set global max_connections = {idle + 1}"], ["set global max_connections = 800"]
        if shop.server.flavor == "mariadb":
            lower.append("set global extra_max_connections = 5")
            raised.append("set global extra_max_connections = 2")
        else:
            who = f"{MONITOR}@'%', {OPERATOR}@'%'"
            lower.append(f"grant service_connection_admin on *.* to {who}")
            raised.append(f"revoke service_connection_admin on *.* from {who}")
    else:
        lower = [f"alter role {APP} connection limit {idle + 1}"]
        raised = [f"alter role {APP} connection limit -1", f"alter role {APP} reset all"]
    await admin(shop.server, *lower)
    try:
        await asyncio.sleep(1.5)
        yield clients
    finally:
        while not await took(shop.server, *raised):
            await asyncio.sleep(0.2)


@pytest.fixture
def door(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    """By the door that stays open on a full server."""
    if isinstance(any_server, MysqlServer):
        logins = {
            name: {**login(user), "port": any_server.rescue_port}
            for name, user in (("monitor", MONITOR), ("operator", OPERATOR))
        }
        return Command(tmp_path, {"t": any_server.target_dict(**logins)})
    return Command(tmp_path, {"t": any_server.target_dict(database=shop.database)})


def words_of(params: list[str]) -> list[str]:
    """The same setting as arguments of the action."""
    given = dict(one.split("=") for one in params)
    if "idle_role" in given:
        return ["name=idle_session_timeout", f"value={given['idle_timeout']}", f"role={given['idle_role']}"]
    return ["name=wait_timeout", f"value={given['idle_timeout']}", "scope=server"]


async def lets_in(shop: Scene) -> bool:
    try:
        await shop.client("late")
    except (asyncpg.TooManyConnectionsError, MySQLError):
        return False
    return True


async def test_idle_sessions_make_room_on_a_server_that_takes_nobody(shop: Scene, door: Command) -> None:
    async with full(shop, idle=9):
        assert not await lets_in(shop)
        told = await plan(door, RUNBOOK, "idle=1s", "application=web", "most=1")
        assert told.count("ACTION session.terminate id=") == 1
        assert "connections are used (" in told
        done = await run(door, RUNBOOK, "idle=1s", "application=web", "most=1", "full=0.95")
        assert (done.code, end(done)["effects"]) == (0, ["each[0].terminate"]), done
        assert await lets_in(shop)


@on("pg18", "mariadb")
async def test_where_there_is_room_nothing_is_done(shop: Scene, command: Command) -> None:
    assert "this way, as it is now" in await plan(command, RUNBOOK)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@on("pg18", "mysql")
async def test_who_works_or_is_in_a_transaction_is_not_ended(shop: Scene, door: Command) -> None:
    async with full(shop, idle=9) as clients:
        for client in clients:
            await client.run("begin")
            await client.run("select count(*) from orders")
        await asyncio.sleep(1.2)
        done = await run(door, RUNBOOK, "idle=1s", "application=web")
        assert (done.code, end(done)["result"], end(done)["effects"]) == (1, "escalate", []), done


@on("pg18", "mysql")
async def test_an_idle_time_out_is_set_after_a_yes(
    shop: Scene, any_server: Server, door: Command, tmp_path: Path
) -> None:
    own = tmp_path / "superuser"
    own.mkdir()
    if isinstance(any_server, MysqlServer):
        params, command = ["idle_timeout=900"], door
        grant = [f"grant system_variables_admin on *.* to {OPERATOR}@'%'"]
        back = [
            "set global wait_timeout = 28800",
            f"revoke system_variables_admin on *.* from {OPERATOR}@'%'",
        ]
    else:
        params, grant, back = ["idle_timeout=30min", f"idle_role={APP}"], [], []
        superuser = {"user": any_server.superuser}
        target = any_server.target_dict(host=any_server.host, tls="off", operator=superuser)
        command = Command(own, {"t": target})
    async with full(shop, idle=9):
        await admin(any_server, *grant)
        given = ("idle=1s", "application=web", "most=1", "full=0.95", *params)
        asked = await run(command, RUNBOOK, *given)
        assert (asked.code, end(asked)["waiting"]["question"]) == (8, "confirm"), asked
        words = ("runbook", "resume", end(asked)["run"], "--yes", "--confirm", "keep=set it", "--json")
        done = await command.run(*words)
        assert (done.code, end(done)["effects"]) == (0, ["each[0].terminate", "limit"]), done
        again = await command.run("plan", "setting.set", "-t", "t", "--json", *words_of(params))
        assert again.document["statements"] == []  # it is so already
    await admin(any_server, *back)


@on("pg18")
async def test_idle_sessions_are_ended_once_whoever_dies(shop: Scene, door: Command) -> None:
    async with full(shop, idle=3):
        _, rows = await killed_again_and_again(
            door, RUNBOOK, "idle=1s", "application=web", "most=1", "full=0.9",
            answers=("--decide", "terminate=retry"),
        )  # fmt: skip
        assert ended(rows) == ("ok", ["each[0].terminate"])
