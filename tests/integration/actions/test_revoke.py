"""account.revoke: an account loses the roles it was granted, one statement each, and nothing else."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from console.engine.memberships import memberships
from console.errors import Exit, Refused, UsageError
from tests.integration.actions.conftest import desk_on, superuser
from tests.integration.actions.rotors import new_account, over_for
from tests.servers.accounts import ROTATOR, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer


async def granted(server: Server, account: str, number: int = 2) -> list[str]:
    """Roles that the operator of these tests may take away again."""
    names = [f"role_{uuid4().hex[:8]}" for _ in range(number)]
    for name in names:
        if isinstance(server, MysqlServer):
            more = [f"grant {name} to {ROTATOR}@'%' with admin option"] if server.flavor == "mariadb" else []
            await superuser(server, f"create role {name}", *more, f"grant {name} to {account}@'%'")
        else:
            by = f" granted by {ROTATOR}" if server.major >= 16 else ""
            await superuser(
                server, f"create role {name}", f"grant {name} to {ROTATOR} with admin option",
                f"grant {name} to {account} with admin option{by}",
            )  # fmt: skip
    if isinstance(server, MysqlServer) and server.flavor == "mysql":
        await superuser(server, f"grant ROLE_ADMIN on *.* to {ROTATOR}@'%'")
    return names


async def test_all_roles_are_taken_away_and_what_undoes_it_is_told(
    any_server: Server, tmp_path: Path
) -> None:
    account = await new_account(any_server)
    roles = await granted(any_server, account)
    async with desk_on(any_server, tmp_path, **over_for(any_server)) as desk:
        plan = await desk.plan("account.revoke", account=account)
        assert len(plan.statements) == 2
        assert all(one.startswith("revoke ") for one in plan.statements)
        run = await desk.apply(plan)
        assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error
        assert await memberships(desk.engine, account) == ()
        await superuser(any_server, *plan.undo.split("; "))
        back = {one.role: one.admin for one in await memberships(desk.engine, account)}
        assert back == dict.fromkeys(roles, not isinstance(any_server, MysqlServer))


async def test_one_of_several_is_taken_away(any_server: Server, tmp_path: Path) -> None:
    account = await new_account(any_server)
    first, second = await granted(any_server, account)
    async with desk_on(any_server, tmp_path, **over_for(any_server)) as desk:
        run = await desk.run("account.revoke", account=account, role=first)
        assert run.effect == "applied", run.error
        assert [one.role for one in await memberships(desk.engine, account)] == [second]
        with pytest.raises(UsageError, match=f"was not granted {first}"):
            await desk.plan("account.revoke", account=account, role=first)


async def test_without_a_role_there_is_nothing_to_do(any_server: Server, tmp_path: Path) -> None:
    account = await new_account(any_server)
    async with desk_on(any_server, tmp_path, **over_for(any_server)) as desk:
        run = await desk.run("account.revoke", account=account)
        assert (run.exit, run.effect) == (Exit.OK, "no_op")


async def test_without_the_right_nothing_is_taken_away(any_server: Server, tmp_path: Path) -> None:
    account = await new_account(any_server)
    (role,) = await granted(any_server, account, 1)
    mysql = isinstance(any_server, MysqlServer)
    given = {"monitor": login(ROTATOR)} if mysql else {}
    async with desk_on(any_server, tmp_path, **given) as desk:
        try:
            run = await desk.run("account.revoke", account=account)
        except Refused:
            assert mysql
        else:
            assert (run.exit, run.effect) == (Exit.FAILED, "none")
        assert [one.role for one in await memberships(desk.engine, account)] == [role]


async def test_what_was_passed_on_is_refused(postgres18: PostgresServer, tmp_path: Path) -> None:
    account, other = await new_account(postgres18), await new_account(postgres18)
    (role,) = await granted(postgres18, account, 1)
    await superuser(postgres18, f"grant {role} to {other} granted by {account}")
    async with desk_on(postgres18, tmp_path, **over_for(postgres18)) as desk:
        plan = await desk.plan("account.revoke", account=account)
        assert f"has passed {role} on to {other}" in plan.refusals[0]
        with pytest.raises(Refused):
            await desk.apply(plan)


async def test_a_run_that_was_taken_for_dead_is_settled_by_the_catalog(
    any_server: Server, tmp_path: Path
) -> None:
    account = await new_account(any_server)
    first, _ = await granted(any_server, account)
    async with desk_on(any_server, tmp_path, **over_for(any_server)) as desk:
        plan = await desk.plan("account.revoke", account=account)
        action = desk.dispatcher.registry.get("account.revoke")
        assert (await action.verify(plan, desk.engine, patience=0)).state == "not_applied"
        await superuser(any_server, next(one for one in plan.statements if first in one))
        assert (await action.verify(plan, desk.engine, patience=0)).state == "partial"
