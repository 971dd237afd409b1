"""The Accounts pane and its check, with keys pressed."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from console.errors import PrivilegeMissing
from console.model.accounts import Account, Accounts, Gap, Logins, Power
from console.model.guessing import Stored
from console.model.indexes import Severity
from console.model.verifiers import POSTGRESQL, VerifierKind, make, parse
from console.tui.screens.account_check import AccountCheckScreen
from tests.fakes import NOW
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, shown, until

ROOT = Account(
    name="root", host="%", kinds=(VerifierKind.NATIVE,), no_password=False,
    powers=(Power(name="ALL PRIVILEGES", severity=Severity.BAD),),
    changed_at=NOW - timedelta(days=400), logins=Logins(total=3, encrypted=1, clear=2, before=2),
)  # fmt: skip
APP = Account(name="app", host="10.%", kinds=None, powers=(), logins=None)


@pytest.fixture
def town(stage: Stage) -> Stage:
    stage.engine.people = Accounts(
        accounts=(APP, ROOT), now=NOW, gaps=(Gap(what="kinds", remedy="GRANT SELECT ON x TO y;"),)
    )
    verifier = parse(make(VerifierKind.SCRAM, "root"), POSTGRESQL)
    stage.engine.kept = (Stored(name="root", host="%", verifier=verifier),)
    return stage


async def accounts(pilot: Pilot[Any], stage: Stage) -> list[tuple[str, ...]]:
    await pilot.press("4")
    await until(
        pilot, lambda: stage.main.pane.name_of_subject == "accounts" and bool(cells_of(stage.main.pane))
    )
    return cells_of(stage.main.pane)


def page(stage: Stage) -> str:
    screen = next(one for one in stage.app.screen_stack if isinstance(one, AccountCheckScreen))
    return str(screen.query_one("#account-check", Static).render())


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_most_dangerous_stands_first_and_unknown_is_said(
    town: Stage, size: tuple[int, int]
) -> None:
    async with shown(town, size) as pilot:
        lines = await accounts(pilot, town)
        assert [cells[0] for cells in lines] == ["root@%", "app@10.%"]
        assert lines[0][3:8] == ("400d", "", "3", "2+", "1/3")
        assert lines[1][2:4] == ("?", "?")
        note = str(town.main.pane.query_one("#accounts-note").render())
        assert "GRANT SELECT ON x TO y;" in note


async def test_c_checks_offline_and_says_what_was_guessed(town: Stage) -> None:
    async with shown(town) as pilot:
        await accounts(pilot, town)
        await pilot.press("c")
        await until(pilot, lambda: "guesses were tried" in page(town))
        assert "root@%: guessed" in page(town)
        assert "the account's name" in page(town)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(town.app.screen, AccountCheckScreen))


async def test_leaving_the_check_ends_its_thread(town: Stage) -> None:
    verifier = parse(make(VerifierKind.SCRAM, "n0body-knows", cost=200_000), POSTGRESQL)
    town.engine.kept = tuple(Stored(name=f"n{n}", host="%", verifier=verifier) for n in range(9))
    async with shown(town) as pilot:
        await accounts(pilot, town)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(town.app.screen, AccountCheckScreen))
        await asyncio.sleep(0.3)
        start = time.monotonic()
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(town.app.screen, AccountCheckScreen))
        assert time.monotonic() - start < 2
    assert time.monotonic() - start < 10


async def test_what_cannot_be_checked_is_told_with_the_grant(
    town: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused() -> tuple[Stored, ...]:
        raise PrivilegeMissing("shop: no privilege to read password verifiers", "GRANT it;")

    monkeypatch.setattr(town.engine, "verifiers", refused)
    async with shown(town) as pilot:
        await accounts(pilot, town)
        await pilot.press("c")
        await until(pilot, lambda: "no password was checked" in page(town))
        assert "GRANT it;" in page(town)
        assert "any host" in page(town)  # what needs no verifier is still judged
