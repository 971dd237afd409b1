"""The old password ends when nobody uses it any more, or by a typed override; and accounts are locked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from pymysql.err import MySQLError

from console.dispatch.action import Approval
from console.errors import Exit, Refused, UsageError
from console.model.probe import Answer
from tests.integration.actions.conftest import until
from tests.integration.actions.rotors import FIRST, Rotor, rotor_on
from tests.servers.accounts import ROTATOR
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

REFUSED = (asyncpg.PostgresError, MySQLError)


@pytest_asyncio.fixture
async def desk(any_server: Server, tmp_path: Path) -> AsyncIterator[Rotor]:
    async with rotor_on(any_server, tmp_path) as made:
        yield made


async def client(desk: Rotor, password: str) -> Any:
    if isinstance(desk.server, MysqlServer):
        return await desk.server.connect(desk.account, password)
    return await asyncpg.connect(
        host="127.0.0.1",
        port=desk.server.tcp_port,
        user=desk.account,
        password=password,
        database="postgres",
        server_settings={"application_name": "shop"},
    )


async def leave(session: Any) -> None:
    if isinstance(session, asyncpg.Connection):
        await session.close()
    else:
        session.close()


async def rotated(desk: Rotor) -> None:
    assert (await desk.run("credential.rotate", account=desk.account)).exit is Exit.OK


async def test_it_waits_until_nobody_is_left_from_before(desk: Rotor) -> None:
    old = await client(desk, FIRST.reveal())
    await rotated(desk)
    new = await client(desk, (await desk.password()).reveal())
    plan = await desk.plan("credential.retire", account=desk.account)
    assert any("1 session" in line and "before the rotation" in line for line in plan.refusals), plan
    with pytest.raises(Refused, match="before the rotation"):
        await desk.apply(plan)
    await leave(old)

    async def drained() -> bool:
        return not (await desk.plan("credential.retire", account=desk.account)).refusals

    await until(drained)
    run = await desk.run("credential.retire", account=desk.account)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error
    assert await desk.answer(FIRST) is Answer.REJECTED
    assert await desk.kept("#previous") is None
    await desk.settled()
    await leave(new)


async def test_an_override_wants_the_targets_name(desk: Rotor) -> None:
    old = await client(desk, FIRST.reveal())
    await rotated(desk)
    plan = await desk.plan("credential.retire", account=desk.account, override=True)
    assert plan.confirm
    with pytest.raises(Refused, match="was not typed"):
        await desk.apply(plan)
    typed = Approval(reason="a test", confirm="t")
    run = await desk.dispatcher.apply(plan, desk.engine, typed)
    assert run.exit is Exit.OK, run.error
    assert await desk.answer(FIRST) is Answer.REJECTED
    await leave(old)


async def test_there_is_nothing_to_retire_without_a_rotation(desk: Rotor) -> None:
    with pytest.raises(UsageError, match="nothing to retire"):
        await desk.plan("credential.retire", account=desk.account)


async def test_after_it_a_second_rotation_is_possible(desk: Rotor) -> None:
    for _ in range(2):
        await rotated(desk)
        run = await desk.run("credential.retire", account=desk.account)
        assert run.exit is Exit.OK, run.error
        await desk.settled()


async def test_a_locked_account_lets_nobody_in_and_is_unlocked(desk: Rotor) -> None:
    run = await desk.run("credential.lock", account=desk.account)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error
    with pytest.raises(REFUSED):
        await client(desk, FIRST.reveal())
    run = await desk.run("credential.lock", account=desk.account, unlock=True)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error
    await leave(await client(desk, FIRST.reveal()))


async def test_dbdeck_does_not_lock_itself_out(desk: Rotor) -> None:
    with pytest.raises(Refused, match="dbdeck itself"):
        await desk.run("credential.lock", account=ROTATOR)
