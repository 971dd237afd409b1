"""`overdue=true` takes whom the Accounts view calls overdue, and goes on without those who are not fit."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import actions
from console.audit.rotations import rotation_rows, rotations
from console.dispatch.action import Plan
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.drift import Sentinel
from console.dispatch.registry import Registry
from console.engine.open import open_operator
from console.errors import Exit, PasswordRefused, Refused, UsageError
from console.model.accounts import Due
from console.model.hooks import AccountRule
from console.model.policy import Policy
from console.model.probe import Answer
from console.model.rotation import Rule
from console.secrets import Secret, entry_of
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, Rotor, new_account, rotor_on
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

SECONDS = 1.0  # the cadence


class Pair(Rotor):
    """Two accounts that the rule looks at, and no other; `other` is known to the store, too."""

    other: str

    def late(self, name: str) -> str:
        return f"{name}@%" if self.mysql else name

    async def grown_old(self) -> None:
        """PostgreSQL keeps no date: there a password is as old as our rotation of it."""
        if not self.mysql:
            for name in (self.account, self.other):
                assert (await self.run("credential.rotate", account=name)).exit is Exit.OK
        await asyncio.sleep(SECONDS + 1.1)

    async def other_logs_in(self, password: Secret) -> Answer:
        return (await self.engine.probe(self.other, password)).answer

    async def secret_of(self, name: str) -> Secret:
        kept = await self.store.get(f"dbdeck/t/{name}")
        assert kept is not None
        return kept


@asynccontextmanager
async def pair_on(server: Server, folder: Path, **over: Any) -> AsyncIterator[Pair]:
    prefix = f"z{uuid.uuid4().hex[:6]}_"
    if isinstance(server, PostgresServer):  # a monitor that may read verifiers
        over = {"monitor": {"user": "postgres"}, "host": server.host, "tls": "off", **over}
    async with rotor_on(server, folder, prefix=prefix, **over) as desk:
        desk.__class__ = Pair
        assert isinstance(desk, Pair)
        desk.other = await new_account(server, prefix=prefix)
        await desk.store.put(f"dbdeck/t/{desk.other}", FIRST)
        rule = Rule(every=SECONDS, exclude=(f"[!{prefix[0]}]*", *await strangers(server, prefix)))
        desk.engine.target = msgspec.structs.replace(desk.engine.target, rotation=rule)  # type: ignore[misc]
        try:
            yield desk
        finally:
            gone = f"drop user {desk.other}@'%'" if desk.mysql else f"drop role {desk.other}"
            await superuser(server, gone)


async def strangers(server: Server, prefix: str) -> list[str]:
    """What other tests left behind."""
    mysql = isinstance(server, MysqlServer)
    names = await superuser(
        server, "select user from mysql.user" if mysql else "select rolname from pg_roles"
    )
    return [str(name) for (name,) in names if str(name).startswith("z") and not str(name).startswith(prefix)]


def taken(plan: Plan) -> set[tuple[str, str | None]]:
    return {(key[0], key[1]) for aim in plan.subject["accounts"] for key in aim["keys"]}


async def test_it_takes_whom_the_view_calls_overdue(any_server: Server, tmp_path: Path) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        if not desk.mysql:
            assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK
        await asyncio.sleep(SECONDS + 1.1)
        plan = await desk.plan("credential.rotate", overdue=True)
        sentinel = Sentinel(desk.engine, lambda: rotation_rows(desk.ledger), desk.store)
        seen = await sentinel.judge(await desk.engine.accounts(), desk.engine.target.rotation)
        called = {one.key for one in seen.accounts if one.due is Due.OVERDUE}
        assert taken(plan) == called
        row = "%" if desk.mysql else None
        assert (desk.account, row) in called
        # Of one that dbdeck never rotated PostgreSQL tells nothing: that is said, and not passed over.
        unknown = [line for line in plan.warnings if "is unknown" in line and desk.other in line]
        assert bool(unknown) is not desk.mysql


async def test_nobody_is_overdue_without_a_cadence(any_server: Server, tmp_path: Path) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        desk.engine.target = msgspec.structs.replace(desk.engine.target, rotation=Rule())  # type: ignore[misc]
        run = await desk.run("credential.rotate", overdue=True)
        assert (run.exit, run.effect) == (Exit.OK, "no_op")


async def test_one_that_is_not_ready_is_left_out_and_named(any_server: Server, tmp_path: Path) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        await desk.grown_old()
        before, now = await desk.secret_of(desk.account), await desk.secret_of(desk.other)
        await desk.store.put(f"dbdeck/t/{desk.other}", Secret("n0t-the-right-one"))
        run = await desk.run("credential.rotate", overdue=True)
        assert run.exit is Exit.PARTIAL
        assert run.error is not None
        assert f"1 account is left out: {desk.late(desk.other)}" in run.error.message
        assert "does not take the password" in run.error.message
        await desk.settled()
        assert await desk.secret_of(desk.account) != before
        assert await desk.store.get(f"dbdeck/t/{desk.other}#pending") is None
        assert run.verify is not None
        assert run.verify.evidence["left_out"].keys() == {desk.late(desk.other)}
        # Its last rotation is the one before, and none of it is open.
        server = (await desk.engine.identity()).system_id
        known = rotations(await rotation_rows(desk.ledger), "t", server)
        assert not (desk.late(desk.other) in known and known[desk.late(desk.other)].unsettled)
        if desk.mysql:
            assert await desk.other_logs_in(FIRST) is Answer.ACCEPTED
        else:
            assert await desk.other_logs_in(entry_of(now).password) is Answer.ACCEPTED


async def test_accounts_that_are_named_are_all_refused(any_server: Server, tmp_path: Path) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        await desk.store.put(f"dbdeck/t/{desk.other}", Secret("n0t-the-right-one"))
        with pytest.raises(Refused, match="does not take the password"):
            await desk.run("credential.rotate", account=[desk.account, desk.other])
        assert await desk.kinds() == []
        assert await desk.answer(FIRST) is Answer.ACCEPTED


async def test_accounts_that_are_named_may_be_left_out_where_that_is_said(
    any_server: Server, tmp_path: Path
) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        await desk.store.put(f"dbdeck/t/{desk.other}", Secret("n0t-the-right-one"))
        run = await desk.run("credential.rotate", account=[desk.account, desk.other], leave_out=True)
        assert run.exit is Exit.PARTIAL
        await desk.settled()


async def test_where_nobody_is_fit_it_is_refused_before_any_intent(
    any_server: Server, tmp_path: Path
) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        await desk.grown_old()
        for name in (desk.account, desk.other):
            await desk.store.put(f"dbdeck/t/{name}", Secret("n0t-the-right-one"))
        rows = len(await desk.kinds())
        with pytest.raises(Refused, match="2 accounts are left out"):
            await desk.run("credential.rotate", overdue=True)
        assert len(await desk.kinds()) == rows


async def test_one_that_the_operator_may_not_change_is_left_out(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with pair_on(postgres, tmp_path) as desk:
        await desk.grown_old()
        await superuser(postgres, f"alter role {desk.other} superuser")
        plan = await desk.plan("credential.rotate", overdue=True)
        assert any(f"{desk.other} will be left out" in line for line in plan.warnings)
        run = await desk.apply(plan)
        assert run.exit is Exit.PARTIAL
        assert run.error is not None
        assert "only a superuser sets" in run.error.message
        await desk.settled()


async def test_one_that_cannot_be_rotated_at_all_makes_it_partial(any_server: Server, tmp_path: Path) -> None:
    """Its hook's program is not there, which the plan tells."""
    async with pair_on(any_server, tmp_path) as desk:
        await desk.grown_old()
        rule = desk.engine.target.rotation
        hooks = msgspec.convert({"hooks": [{"exec": {"argv": ["/nowhere/at-all"]}}]}, AccountRule)
        missing = msgspec.structs.replace(rule, accounts={desk.other: hooks})
        desk.engine.target = msgspec.structs.replace(desk.engine.target, rotation=missing)  # type: ignore[misc]
        plan = await desk.plan("credential.rotate", overdue=True)
        assert taken(plan) == {(desk.account, "%" if desk.mysql else None)}
        assert any("/nowhere/at-all" in line for line in plan.warnings)
        run = await desk.apply(plan)
        assert run.exit is Exit.PARTIAL
        assert run.error is not None
        assert "/nowhere/at-all" in run.error.message


async def test_one_whose_password_the_server_refuses_keeps_nobody_else(
    any_server: Server, tmp_path: Path
) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        await desk.grown_old()
        await desk.dispatcher.close()
        strict = picky(desk.account)
        desk.dispatcher = Dispatcher(
            Registry(actions.ALL), desk.ledger, Policy(), opener=strict, store=desk.store
        )
        old, before = await desk.secret_of(desk.account), await desk.secret_of(desk.other)
        run = await desk.run("credential.rotate", overdue=True)
        assert run.exit is Exit.PARTIAL
        assert run.error is not None
        assert "1 account rotated" in run.error.message
        assert await desk.secret_of(desk.account) == old
        assert await desk.kept("#pending") is None
        assert await desk.secret_of(desk.other) != before
        # The server said no: its rotation before is the last one, and nothing of this one is open.
        server = (await desk.engine.identity()).system_id
        known = rotations(await rotation_rows(desk.ledger), "t", server).get(desk.late(desk.account))
        assert known is None or not known.unsettled


def picky(name: str) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def opened(target: Any) -> AsyncIterator[Any]:
        async with open_operator(target) as connection:
            run = connection.run

            async def refusing(statement: Any, *, timeout: float | None) -> Any:
                if name in statement.sql:
                    raise PasswordRefused("t: the server does not take this password")
                return await run(statement, timeout=timeout)

            connection.run = refusing  # type: ignore[method-assign]
            yield connection

    return opened


async def test_what_is_resumed_leaves_them_out_as_well(any_server: Server, tmp_path: Path) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        await desk.grown_old()
        await desk.store.put(f"dbdeck/t/{desk.other}", Secret("n0t-the-right-one"))
        run = await desk.run("credential.rotate", overdue=True)
        plan = await desk.dispatcher.resume(run.action_id, desk.engine)
        assert {aim["user"] for aim in plan.subject["accounts"]} == {desk.account}
        again = await desk.apply(plan)
        assert again.exit is Exit.OK, again.error


async def test_all_named_and_none_fit_to_be_planned_is_refused(any_server: Server, tmp_path: Path) -> None:
    async with pair_on(any_server, tmp_path) as desk:
        with pytest.raises(UsageError, match="there is no account"):
            await desk.plan("credential.rotate", account=["nobody_here"], leave_out=True)
