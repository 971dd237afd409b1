"""deadlocks: a real one is described from the log, one nobody described is told, and more is switched on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from tests.running import end, ended, killed_again_and_again, on, plan, run
from tests.servers.accounts import OPERATOR
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Client, Scene, touch

RUNBOOK = "deadlocks"
YES = ("--confirm", "sure=switch it on")


def target(server: Server, shop: Scene, **more: Any) -> dict[str, Any]:
    if isinstance(server, MysqlServer):
        return server.target_dict(**more)
    superuser = {"user": server.superuser}
    return server.target_dict(database=shop.database, host=server.host, tls="off", operator=superuser, **more)


@pytest.fixture
def command(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    """Without the server's log: PostgreSQL only counts then."""
    return Command(tmp_path, {"t": target(any_server, shop)})


async def cross(shop: Scene) -> None:
    """One deadlock of two sessions that take two rows in different orders."""
    one, other = await shop.holder(1, "checkout"), await shop.holder(2, "stocktaking")
    ends = await asyncio.gather(one.run(touch(2)), other.run(touch(1)), return_exceptions=True)
    assert sum(isinstance(one_end, Exception) for one_end in ends) == 1
    for client in (one, other):
        await client.run("rollback")
    await asyncio.sleep(1.2)  # PostgreSQL's counters are up to a second late


@asynccontextmanager
async def told_little(server: Server) -> AsyncIterator[Client]:
    """What tells more is off, and the operator may switch it on; yields an administrator."""
    mysql = isinstance(server, MysqlServer)
    admin = await Client.open(server, "mysql" if mysql else "postgres", user=None)
    if isinstance(server, MysqlServer):
        right = "super" if server.flavor == "mariadb" else "system_variables_admin"
        await admin.run("set global innodb_print_all_deadlocks = off")
        await admin.run(f"grant {right} on *.* to {OPERATOR}@'%'")
        after = ["set global innodb_print_all_deadlocks = on", f"revoke {right} on *.* from {OPERATOR}@'%'"]
    else:
        after = ["alter system reset log_lock_waits", "select pg_reload_conf()"]
    try:
        yield admin
    finally:
        for sql in after:
            await admin.run(sql)
        await admin.close()


async def setting(command: Command, name: str) -> bool:
    """Whether it is on, by the plan that would switch it on."""
    done = await command.run(
        "plan", "setting.set", "-t", "t", "--json", f"name={name}", "value=on", "scope=server"
    )
    return not done.document["statements"]


async def test_the_statements_that_met_are_told(shop: Scene, any_server: Server, tmp_path: Path) -> None:
    log = any_server.log if isinstance(any_server, MysqlServer) else any_server.scratch.log
    command = Command(tmp_path, {"t": target(any_server, shop, log=str(log))})
    await cross(shop)
    newest = (await command.run("show", "deadlocks", "-t", "t", "--json")).rows[0]  # others have left theirs
    assert all("update orders set n = n + 1" in one["statement"] for one in newest["participants"])
    assert f"kind {newest['fingerprint']}" in await plan(command, RUNBOOK)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done
    assert "take locks in one order" in end(done)["text"]


@on("pg18", "mysql", "mariadb")
async def test_more_is_switched_on_after_a_yes(shop: Scene, any_server: Server, command: Command) -> None:
    name = "innodb_print_all_deadlocks" if isinstance(any_server, MysqlServer) else "log_lock_waits"
    async with told_little(any_server):
        asked = await run(command, RUNBOOK, "more=true")
        assert (asked.code, end(asked)["waiting"]["question"]) == (2, "confirm"), asked
        assert not await setting(command, name)
        done = await run(command, RUNBOOK, "more=true", answers=YES)
        assert end(done)["effects"] == ["switch"], done
        assert await setting(command, name)


@on("pg18")
async def test_what_is_counted_and_not_described_is_said_so(shop: Scene, command: Command) -> None:
    await cross(shop)
    done = await run(command, RUNBOOK)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (1, "escalate", []), done
    assert "nothing here describes them" in end(done)["text"]


@on("pg18")
async def test_it_is_switched_on_once_whoever_dies(shop: Scene, any_server: Server, command: Command) -> None:
    async with told_little(any_server):
        answers = (*YES, "--decide", "switch=retry")
        _, rows = await killed_again_and_again(command, RUNBOOK, "more=true", answers=answers)
        assert ended(rows)[1] == ["switch"]
        assert await setting(command, "log_lock_waits")
