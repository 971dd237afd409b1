"""A rehearsal on real servers: every death is recovered from, and nothing is left of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from actions import rehearsing
from console.errors import Exit, Refused
from tests.integration.actions.rotors import Rotor, rotor_on
from tests.servers.fleet import Server


@pytest_asyncio.fixture
async def desk(any_server: Server, tmp_path: Path) -> AsyncIterator[Rotor]:
    async with rotor_on(any_server, tmp_path) as made:
        yield made


async def test_every_death_is_recovered_from_and_nothing_is_left(desk: Rotor) -> None:
    entries = dict(desk.store.entries)
    people = {one.key for one in (await desk.engine.accounts()).accounts}
    run = await desk.run("credential.rehearse")
    assert (run.exit, run.effect) == (Exit.OK, "applied"), (run.error, run.verify)
    assert run.verify is not None
    matrix = run.verify.evidence["matrix"]
    assert len(matrix) == 10  # five effects, before and after each
    assert {one["effect"] for one in matrix} >= {"the statement", "storing pending", "storing current"}
    assert all(one["end"] == "the stored password logs in, none is pending" for one in matrix)
    assert {one.key for one in (await desk.engine.accounts()).accounts} == people
    assert desk.store.entries == entries


async def test_a_recovery_that_fails_is_told(desk: Rotor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def end(*_: object) -> str:
        return "the stored password does not log in"

    monkeypatch.setattr(rehearsing, "_end", end)
    run = await desk.run("credential.rehearse")
    assert run.exit is not Exit.OK
    assert run.error is not None
    assert "10 deaths of 10 not recovered from" in run.error.message


async def test_it_takes_nobody_elses_account(desk: Rotor) -> None:
    with pytest.raises(Refused, match="dbdeck_rehearsal_"):
        await desk.plan("credential.rehearse", account=desk.account)
