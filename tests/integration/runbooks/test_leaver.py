"""leaver: an account is locked, its sessions ended, its roles taken away, and what it owns is handed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymysql.err import MySQLError

from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account
from tests.integration.actions.test_revoke import granted
from tests.integration.runbooks.vaults import keeper, logged_in, sessions_of
from tests.running import START, end, killed_again_and_again
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer


async def owned_by(server: Server, account: str) -> str:
    """Something that belongs to it; its name."""
    if isinstance(server, MysqlServer):
        database = await server.new_database()
        await superuser(server, f"create definer = {account}@'%' view {database}.things as select 1 as one")
        return "things"
    name = f"of_{account}"
    await superuser(server, f"create table {name} (n int)", f"alter table {name} owner to {account}")
    return name


async def seeing(server: Server, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A monitor that sees all views and who has which role, on servers where that takes a right."""
    if not isinstance(server, MysqlServer):
        return {}
    name = await new_account(server)
    await superuser(server, f"grant process, references on *.* to {name}@'%'")
    await superuser(
        server,
        *(f"grant select on {schema}.* to {name}@'%'" for schema in ("mysql", "performance_schema")),
    )
    patch.setenv("DBDECK_TEST_SEES", FIRST.reveal())
    return {"monitor": {"user": name, "password": "env:DBDECK_TEST_SEES"}}


async def test_a_leaver_loses_sessions_roles_and_login(
    any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(any_server, tmp_path, monkeypatch, **await seeing(any_server, monkeypatch))
    account = await new_account(any_server)
    (role,) = await granted(any_server, account, 1)
    thing = await owned_by(any_server, account)
    given = ("-p", f"account={account}")
    async with logged_in(any_server, account):
        planned = await deck.run("runbook", "plan", "leaver", "-t", "t", *given)
        assert planned.code == 0, planned
        unseen = "routines, triggers, events" if isinstance(any_server, MysqlServer) else "see them: none"
        assert unseen in planned.out
        assert (role in planned.out, thing in planned.out) == (True, True), planned.out
        assert await deck.kinds() == []
        sure = ("--confirm", f"sure={account}")
        asked = await deck.run("runbook", "run", "leaver", *given, *START, "--yes", *sure)
        assert (asked.code, end(asked)["waiting"]["key"]) == (8, "hand_over"), asked
    done = await deck.run(
        "runbook", "resume", end(asked)["run"], "--json", "--attest", "hand_over=given to the team"
    )
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert end(done)["effects"] == ["shut", "out[0].end_it", "revoke"]
    assert await sessions_of(deck, account) == set()
    with pytest.raises((asyncpg.PostgresError, MySQLError)):
        async with logged_in(any_server, account):
            pass
    again = await deck.run("runbook", "run", "leaver", *given, *START, "--yes")
    assert (again.code, end(again)["result"], end(again)["effects"]) == (0, "ok", []), again


async def test_who_is_not_there_has_nothing_to_lose(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(postgres18, tmp_path, monkeypatch)
    planned = await deck.run("runbook", "plan", "leaver", "-t", "t", "-p", "account=nobody")
    assert (planned.code, await deck.kinds()) == (0, []), planned
    done = await deck.run("runbook", "run", "leaver", "-p", "account=nobody", *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


async def test_a_leaver_is_gone_whoever_dies(
    postgres18: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(postgres18, tmp_path, monkeypatch)
    account = await new_account(postgres18)
    await granted(postgres18, account)
    retry = [word for step in ("shut", "end_it", "revoke") for word in ("--decide", f"{step}=retry")]
    async with logged_in(postgres18, account):
        done, _ = await killed_again_and_again(
            deck, "leaver", f"account={account}", answers=("--confirm", f"sure={account}", *retry)
        )
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert await sessions_of(deck, account) == set()
