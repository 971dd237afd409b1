"""transaction.rollback_prepared on real servers, and literals that come back as they went in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.engine.queries import quote_literal
from console.errors import Exit, Stale, UsageError
from tests.command import Command
from tests.integration.actions.conftest import Desk, desk_on, superuser
from tests.integration.actions.test_chain_break import prepare
from tests.servers import accounts
from tests.servers.aside import run as aside
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import Scene, scene, touch

OWNED = {"operator": {"user": accounts.APP, "password": "env:DBDECK_TEST_APP"}}
HOSTILE = "trip'; drop table orders; -- \\ é"


@pytest.fixture(autouse=True)
def owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application itself as the operator: only an owner may finish a prepared transaction."""
    monkeypatch.setenv("DBDECK_TEST_APP", accounts.PASSWORDS[accounts.APP])


@pytest_asyncio.fixture(autouse=True)
async def xa_recover(any_server: Server) -> AsyncIterator[None]:
    """What dbdeck documents for MySQL: the monitor sees prepared transactions."""
    mysql = isinstance(any_server, MysqlServer) and any_server.flavor == "mysql"
    if mysql:
        await superuser(any_server, f"grant xa_recover_admin on *.* to {accounts.MONITOR}@'%'")
    yield
    if mysql:
        await superuser(any_server, f"revoke xa_recover_admin on *.* from {accounts.MONITOR}@'%'")


@pytest_asyncio.fixture
async def desk(any_server: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    over = {} if isinstance(any_server, MysqlServer) else OWNED
    async with desk_on(any_server, tmp_path, **over) as made:
        yield made


async def prepared(shop: Scene, desk: Desk, order: int, name: str = "trip-1") -> str:
    """A detached prepared transaction; its name as an argument."""
    literal = await prepare(await shop.client("coordinator"), desk, order, name)
    return literal if desk.mysql else name


async def tidy(desk: Desk, literal: str, database: str) -> None:
    verb = "xa rollback" if desk.mysql else "rollback prepared"
    await desk.as_superuser(f"{verb} {literal}", database=database)


async def test_it_is_rolled_back_and_who_waited_runs(shop: Scene, desk: Desk) -> None:
    gid = await prepared(shop, desk, 3)
    waiter = await shop.waiter(3)
    await desk.waiting(waiter.id)
    plan = await desk.plan("transaction.rollback_prepared", gid=gid)
    assert "ROLLBACK" in plan.statements[0]
    assert any("coordinator" in line and "COMMIT" in line for line in plan.warnings)
    assert any("releases 1 session" in line for line in plan.forecast), plan.forecast
    run = await desk.apply(plan)
    assert (run.effect, run.exit, run.error) == ("applied", Exit.OK, None)
    assert run.verify is not None
    assert run.verify.evidence["waiters_released"] == 1
    await desk.nobody_waits()
    with pytest.raises(Stale, match="nothing was executed"):
        await desk.plan("transaction.rollback_prepared", gid=gid)


async def test_another_one_of_that_name_is_stale(shop: Scene, desk: Desk) -> None:
    gid = await prepared(shop, desk, 4)
    plan = await desk.plan("transaction.rollback_prepared", gid=gid)
    literal = gid if desk.mysql else quote_literal(gid, "postgresql")
    await tidy(desk, literal, shop.database)
    with pytest.raises(Stale, match="nothing was executed"):
        await desk.apply(plan)
    assert "intent" not in await desk.kinds()


async def test_only_its_owner_may_and_the_refusal_says_so(postgres: PostgresServer, tmp_path: Path) -> None:
    async with scene(postgres) as shop, desk_on(postgres, tmp_path) as desk:
        gid = await prepared(shop, desk, 5)
        try:
            run = await desk.run("transaction.rollback_prepared", gid=gid)
            assert (run.effect, run.exit) == ("none", Exit.FAILED), run
            assert run.error is not None
            assert "role that prepared it" in run.error.hint
        finally:
            await tidy(desk, quote_literal(gid, "postgresql"), shop.database)


async def test_a_commit_by_its_coordinator_in_between_is_never_called_rolled_back(
    shop: Scene, desk: Desk
) -> None:
    gid = await prepared(shop, desk, 6)
    literal = gid if desk.mysql else quote_literal(gid, "postgresql")
    plan = await desk.plan("transaction.rollback_prepared", gid=gid)
    action = desk.dispatcher.registry.get("transaction.rollback_prepared")
    apply = action.apply

    async def late(*arguments: Any) -> Any:
        verb = "xa commit" if desk.mysql else "commit prepared"
        await desk.as_superuser(f"{verb} {literal}", database=shop.database)
        return await apply(*arguments)

    action.apply = late  # type: ignore[assignment, method-assign]
    try:
        run = await desk.apply(plan)
    finally:
        action.apply = apply  # type: ignore[method-assign]
    assert (run.effect, run.exit) == ("none", Exit.FAILED), run


async def test_a_hostile_name_is_one_name(postgres: PostgresServer, tmp_path: Path) -> None:
    async with scene(postgres) as shop, desk_on(postgres, tmp_path, **OWNED) as desk:
        client = await shop.client("coordinator")
        await client.run("begin")
        await client.run(touch(7))
        await client.run(f"prepare transaction {quote_literal(HOSTILE, 'postgresql')}")
        run = await desk.run("transaction.rollback_prepared", gid=HOSTILE)
        assert (run.effect, run.exit) == ("applied", Exit.OK), run
        rows = await superuser(postgres, "select count(*) from orders", database=shop.database)
        assert rows == [(2000,)]


async def test_what_is_no_xid_never_reaches_a_statement(mysql: MysqlServer, tmp_path: Path) -> None:
    async with scene(mysql) as shop, desk_on(mysql, tmp_path) as desk:
        literal = await prepare(await shop.client("coordinator"), desk, 8)
        for bad in ("trip-1", "'a'; drop table t", "'a','b','c'", "X'0g'"):
            with pytest.raises(UsageError, match="nothing was executed"):
                await desk.plan("transaction.rollback_prepared", gid=bad)
        await tidy(desk, literal, shop.database)


async def test_a_client_that_is_still_there(mariadb_or_skip: MysqlServer, tmp_path: Path) -> None:
    """MariaDB keeps a prepared transaction to its connection until that ends."""
    async with scene(mariadb_or_skip) as shop, desk_on(mariadb_or_skip, tmp_path) as desk:
        client = await shop.client("coordinator")
        for sql in ("xa start 'here'", touch(9), "xa end 'here'", "xa prepare 'here'"):
            await client.run(sql)
        plan = await desk.plan("transaction.rollback_prepared", gid="'here'")
        assert plan.refusals, plan
        assert f"session {client.id}" in plan.refusals[0]
        await client.run("xa rollback 'here'")


async def test_ending_its_client_is_not_said_to_free_anybody(
    mariadb_or_skip: MysqlServer, tmp_path: Path
) -> None:
    """It stays prepared, with its locks: no chain is broken there, and nothing is undone."""
    async with scene(mariadb_or_skip) as shop, desk_on(mariadb_or_skip, tmp_path) as desk:
        client = await shop.client("coordinator")
        for sql in ("xa start 'here'", touch(9), "xa end 'here'", "xa prepare 'here'"):
            await client.run(sql)
        waiter = await shop.waiter(9)
        await desk.waiting(waiter.id)
        key = await desk.key(client.id)
        chain = await desk.plan("chain.break", root=client.id, started_at=key["started_at"])
        plan = await desk.plan("session.terminate", **key)
        idle = await desk.plan("session.terminate_idle", older_than=0.1, database=shop.database)
        await client.run("xa rollback 'here'")
        assert idle.subject["sessions"] == [], "it would be ended in vain"
        assert any("'here' is prepared and stays" in line for line in idle.warnings), idle
        assert len(chain.refusals) == 1, chain
        for word in (
            "'here' is prepared and stays",
            "transaction.rollback_prepared",
            "session.terminate id=",
        ):
            assert word in chain.refusals[0]
        assert plan.refusals == ()
        assert len(plan.forecast) == 1, plan
        assert "frees nobody and undoes nothing: its XA transaction 'here'" in plan.forecast[0]
        assert "its prepared transaction stays" in plan.undo


@pytest.fixture
def mariadb_or_skip(mysql: MysqlServer) -> MysqlServer:
    if mysql.flavor != "mariadb":
        pytest.skip("MySQL detaches a transaction when it is prepared")
    return mysql


async def test_the_command_rolls_back(shop: Scene, desk: Desk, tmp_path: Path) -> None:
    gid = await prepared(shop, desk, 10)
    over = {} if desk.mysql else OWNED
    command = Command(tmp_path, {"t": desk.server.target_dict(**over)})
    words = ("-t", "t", "--json", "--yes", "--reason", "a test", f"gid={gid}")
    done = await command.run("apply", "transaction.rollback_prepared", *words)
    assert (done.code, done.document["effect"]) == (0, "applied"), done
    again = await command.run("apply", "transaction.rollback_prepared", *words)
    assert again.code == Exit.STALE


def text(server: Server) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    mysql = isinstance(server, MysqlServer)
    return st.text(characters | st.sampled_from("'\\\"`;-%$\n" + ("\0" if mysql else "")), max_size=40)


@pytest.mark.parametrize("strict", [True, False])
def test_a_literal_comes_back_as_it_went_in(any_server: Server, strict: bool) -> None:
    """On PostgreSQL with standard_conforming_strings on and off."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(text(any_server), min_size=1, max_size=40))
    def check(texts: list[str]) -> None:
        assert aside(echo(any_server, texts, strict=strict)) == texts

    check()


async def echo(server: Server, texts: list[str], *, strict: bool) -> list[str]:
    flavor = server.flavor
    select = "select " + ", ".join(quote_literal(one, flavor) for one in texts)
    if isinstance(server, MysqlServer):
        mode = "set sql_mode = 'NO_ENGINE_SUBSTITUTION'"
        return list((await superuser(server, mode, select))[0])
    mode = f"set standard_conforming_strings = {'on' if strict else 'off'}"
    return list((await superuser(server, mode, "set escape_string_warning = off", select))[0])
