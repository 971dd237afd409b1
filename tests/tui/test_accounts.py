"""The Accounts pane and its check, with keys pressed."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from console.audit.record import Kind
from console.errors import PrivilegeMissing
from console.model.accounts import Account, Accounts, Gap, Logins, Power
from console.model.guessing import Stored
from console.model.indexes import Severity
from console.model.verifiers import (
    FINGERPRINT_KEY,
    POSTGRESQL,
    Verifier,
    VerifierKind,
    fingerprint,
    key_id,
    make,
    parse,
)
from console.present import accounts as words
from console.secrets import Secret
from console.tui.panes.pane import Pane
from console.tui.screens import main
from console.tui.screens.account_check import AccountCheckScreen
from tests.fakes import NOW, MemoryStore
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


# ---- compared with our rotations -----------------------------------------------------------------


async def rotated(stage: Stage, store: MemoryStore, verifier: Verifier) -> None:
    """As credential.rotate leaves it in the ledger."""
    key = bytes(32)
    await store.put(FINGERPRINT_KEY, Secret(key.hex()))
    ledger, action = stage.app.desk.ledger, uuid4()
    assert ledger is not None
    about = {"action": "credential.rotate", "target": "shop"}
    subject = {"accounts": [{"keys": [["root", "%"]], "rotation": "r"}]}
    server = {"system_id": stage.engine.server.system_id}
    await ledger.append(Kind.INTENT, action, {**about, "subject": subject, "server": server})
    marks = {"fingerprints": {"root@%": fingerprint(key, verifier)}, "fingerprint_key": key_id(key)}
    end = {**about, "status": "applied", "verify": {"evidence": marks}}
    await ledger.append_late(Kind.OUTCOME, action, end)


async def test_a_password_changed_outside_is_told_when_the_view_is_opened_or_refreshed(
    town: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    monkeypatch.setattr(main, "of_this_process", lambda: store)
    ours, theirs = (parse(make(VerifierKind.SCRAM, word), POSTGRESQL) for word in ("ours", "theirs"))
    assert ours is not None
    async with shown(town, WIDE) as pilot:
        await rotated(town, store, ours)
        town.engine.kept = (Stored(name="root", host="%", verifier=ours),)
        lines = await accounts(pilot, town)
        await until(pilot, lambda: cells_of(town.main.pane)[0][5] == "same")
        polls = town.main.pane.reading.taken_at
        town.engine.kept = (Stored(name="root", host="%", verifier=theirs),)
        town.main.pane.feed.delay = 0.1
        Pane.again(town.main.pane)  # as a poll does, which looks at no verifier
        await until(pilot, lambda: town.main.pane.reading.taken_at != polls)
        assert cells_of(town.main.pane)[0][5] == "same"
        await pilot.press("r")
        await until(pilot, lambda: cells_of(town.main.pane)[0][5] == "changed")
        assert len(cells_of(town.main.pane)[0]) == len(lines[0])
        details = str(town.main.pane.query_one(".details", Static).render())
        assert "by none of dbdeck's rotations" in details
        await pilot.press("c")
        await until(pilot, lambda: "root@%: changed outside" in page(town))


async def test_without_a_rotation_of_ours_there_is_no_such_column(town: Stage) -> None:
    async with shown(town, WIDE) as pilot:
        lines = await accounts(pilot, town)
        assert len(lines[0]) == len(words.COLUMNS)
