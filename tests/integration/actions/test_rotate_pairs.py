"""Two PostgreSQL roles that take turns: both log in until the one before is retired, and own as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from console.engine.drain_board import drain_board
from console.errors import Exit, UsageError
from console.model.probe import Answer
from console.secrets import Secret
from tests.integration.actions.conftest import superuser, until
from tests.integration.actions.rotors import FIRST, Rotor, new_account, rotor_on
from tests.servers.postgres import PostgresServer


@pytest_asyncio.fixture
async def desk(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Rotor]:
    async with rotor_on(postgres, tmp_path) as made:
        yield made


async def paired(desk: Rotor) -> str:
    """The other of the pair, as a DBA makes it: no login and no password yet."""
    other = await new_account(desk.server)
    owner = f"{desk.account}_owner"
    await superuser(
        desk.server,
        f"create role {owner} nologin",
        f"alter role {other} nologin password null",
        f"grant {owner} to {desk.account}, {other}",
        f"alter role {desk.account} set role = {owner}",
        f"alter role {other} set role = {owner}",
        f"create schema {owner} authorization {owner}",
    )
    return other


async def connect(desk: Rotor, user: str, password: Secret) -> asyncpg.Connection[asyncpg.Record]:
    assert isinstance(desk.server, PostgresServer)
    return await asyncpg.connect(
        host="127.0.0.1",
        port=desk.server.tcp_port,
        user=user,
        password=password.reveal(),
        database="postgres",
    )


async def rotate(desk: Rotor, other: str) -> None:
    run = await desk.run("credential.rotate", account=desk.account, alternate=other)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error


async def retire(desk: Rotor) -> None:
    run = await desk.run("credential.retire", account=desk.account)
    assert (run.exit, run.effect) == (Exit.OK, "applied"), run.error


async def test_both_log_in_and_own_together_until_one_is_retired(desk: Rotor) -> None:
    other, owner = await paired(desk), f"{desk.account}_owner"
    await rotate(desk, other)
    kept = await desk.kept()
    assert kept is not None
    assert kept.user == other
    old = await connect(desk, desk.account, FIRST)
    await old.execute(f"create table {owner}.made (id int)")
    new = await connect(desk, other, kept.password)
    await new.execute(f"alter table {owner}.made add column n int")
    plan = await desk.plan("credential.retire", account=desk.account)
    assert any("1 session" in line for line in plan.refusals)
    await old.close()
    await new.close()
    await retire(desk)
    assert (await desk.engine.probe(desk.account, FIRST)).answer is Answer.REJECTED
    assert (await desk.engine.probe(other, kept.password)).answer is Answer.ACCEPTED
    assert await desk.kept("#previous") is None


async def test_they_take_turns(desk: Rotor) -> None:
    other = await paired(desk)
    users = []
    for _ in range(3):
        await rotate(desk, other)
        kept = await desk.kept()
        assert kept is not None
        users.append(kept.user)
        await retire(desk)
        assert (await desk.engine.probe(kept.user, kept.password)).answer is Answer.ACCEPTED
    assert users == [other, desk.account, other]


async def test_a_turn_is_not_taken_while_the_last_one_is_in_use(desk: Rotor) -> None:
    other = await paired(desk)
    await rotate(desk, other)
    with pytest.raises(UsageError, match="still be in use"):
        await desk.plan("credential.rotate", account=desk.account, alternate=other)


async def test_two_that_own_apart_are_refused_with_what_to_do(desk: Rotor) -> None:
    other = await new_account(desk.server)
    with pytest.raises(UsageError, match="do not become one owner") as refused:
        await desk.plan("credential.rotate", account=desk.account, alternate=other)
    assert "SET role" in refused.value.hint


async def test_the_drain_board_counts_the_one_whose_turn_is_over(desk: Rotor) -> None:
    other = await paired(desk)
    old = await connect(desk, desk.account, FIRST)
    await rotate(desk, other)
    kept = await desk.kept()
    assert kept is not None
    new = await connect(desk, other, kept.password)
    late = await connect(desk, desk.account, FIRST)  # it logs in until it is retired
    for session, left in ((None, 2), (late, 1), (old, 0)):
        if session is not None:
            await session.close()

        async def seen(left: int = left) -> bool:
            board = await drain_board(desk.engine, desk.store)
            line = next(one for one in board.accounts if one.user == desk.account)
            assert line.overlap is True
            return (line.seen.older, line.seen.newer) == (left, 1)

        await until(seen)
    await new.close()
