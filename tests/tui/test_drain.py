"""The Drain view and the keys of Accounts around a rotation, with keys pressed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

import actions
from console.dispatch.registry import Registry
from console.keyrings import Keyring, Pinned, pin
from console.model.accounts import Account, Accounts
from console.model.policy import Deny, Policy
from console.model.sessions import Session, State
from console.model.target import Environment
from console.model.verifiers import VerifierKind
from console.secret_store import KeyringStore, SecretStore
from console.secrets import Entry, Secret
from console.tui import desk
from console.tui.app import ConsoleApp
from console.tui.screens.arguments import ArgumentsScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.text import TextScreen
from console.tui.screens.unlock import HiddenInput, UnlockScreen
from tests.fakes import NOW, MemoryStore, make_session
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, proposed, shown, until
from tests.vault.disks import MASTER, vault_at

ROTATED = NOW - timedelta(hours=1)
HUSH = "n0b0dy-may-see-this"
APP = Account(
    name="app", kinds=(VerifierKind.SCRAM,), no_password=False, powers=(), overlap=False, changed_at=ROTATED
)


def entry(rotation: str) -> Secret:
    return Entry(password=Secret(HUSH), rotation=rotation, user="app", made_at=ROTATED, session=9).sealed()


def before(number: int, **over: Any) -> Session:
    values = {"user": "app", "state": State.IDLE, "started_at": ROTATED - timedelta(minutes=number)}
    return make_session(number, **{**values, "application": "shop", **over})


def use(monkeypatch: pytest.MonkeyPatch, store: SecretStore | None) -> None:
    monkeypatch.setattr(desk, "of_this_process", lambda: store)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    made = MemoryStore()
    made.entries = {
        ("dbdeck/shop", "app"): entry("0f1e2d3c-r2"),
        ("dbdeck/shop", "app#previous"): entry("r1"),
    }
    use(monkeypatch, made)
    return made


@pytest.fixture
def town(stage: Stage, store: MemoryStore) -> Stage:
    people = (APP, Account(name="locked", may_login=False, overlap=False), Account(name="root", system=True))
    stage.engine.people = Accounts(accounts=people, now=NOW)
    stage.engine.list += [before(21), before(22), before(23, state=State.ACTIVE)]
    return stage


async def view(pilot: Pilot[Any], stage: Stage, name: str, *keys: str) -> list[tuple[str, ...]]:
    await pilot.press(*keys)
    await until(
        pilot, lambda: stage.main.pane.name_of_subject == name and stage.main.pane.reading.data is not None
    )
    await until(pilot, lambda: stage.main.pane.grid.empty != "reading …")
    return cells_of(stage.main.pane)


async def drain(pilot: Pilot[Any], stage: Stage) -> list[tuple[str, ...]]:
    return await view(pilot, stage, "drain", "4", "4")


def details(stage: Stage) -> str:
    return str(stage.main.pane.query_one(".details").render())


def dialog(pilot: Pilot[Any]) -> str:
    return str(pilot.app.screen.query_one("#plan").render())


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_line_says_who_is_left_and_it_burns_down(town: Stage, size: tuple[int, int]) -> None:
    async with shown(town, size) as pilot:
        [cells] = await drain(pilot, town)
        assert (cells[0], cells[1], cells[2]) == ("app", "1h00", "0f1e2d3c")
        assert cells[4:6] == ("3", "0")
        assert cells[-1] == "3 to go"
        assert "3 of shop at 10.0.0.7" in details(town)
        assert "end session 22 first" in details(town)
        for gone, left in ((22, "2"), (21, "1")):
            town.engine.end(gone)
            await pilot.press("r")
            await until(pilot, lambda left=left: cells_of(town.main.pane)[0][4] == left)  # type: ignore[misc]
        assert "2 of the 3 seen from here are gone" in details(town)
        assert "retire" in town.keys
        town.engine.end(23)
        await pilot.press("r")
        await until(pilot, lambda: cells_of(town.main.pane)[0][-1] == "drained: retire")
        assert "credential.retire" in details(town)
        assert HUSH not in town.app.export_screenshot()


async def test_t_proposes_the_oldest_idle_session_and_no_other(town: Stage) -> None:
    async with shown(town) as pilot:
        await drain(pilot, town)
        await proposed(town, pilot, "t")
        await until(pilot, lambda: "session 22" in dialog(pilot))
        town.operator.ends = 22
        await pilot.press(*"drain", "enter")
        await until(pilot, lambda: len(town.operator.sent) == 1)
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        await pilot.press("escape")
        await until(pilot, lambda: cells_of(town.main.pane)[0][4] == "2")


async def test_i_fills_in_a_group_that_is_idle_in_transactions(town: Stage) -> None:
    town.engine.list = [
        before(n, state=State.IDLE_IN_TRANSACTION, state_seconds=90.0 + n, transaction_started_at=ROTATED)
        for n in (31, 32)
    ]
    async with town.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "ledger is open" in town.status)
        await drain(pilot, town)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        value = pilot.app.screen.query_one(Input).value
        assert value == "older_than=121s user=app client=10.0.0.7 application=shop limit=2"
        await pilot.press("escape")
        await town.app.desk.close()


async def test_i_says_why_it_has_nothing_to_propose(town: Stage) -> None:
    async with shown(town) as pilot:
        await drain(pilot, town)
        await pilot.press("i")
        await until(pilot, lambda: "t ends one" in town.status)
        assert town.operator.sent == []


async def test_x_waits_until_nobody_is_left(town: Stage) -> None:
    async with shown(town, WIDE) as pilot:
        await drain(pilot, town)
        await pilot.press("x")
        await until(pilot, lambda: "3 from before are left" in town.status)
        town.engine.list = town.engine.list[:5]
        await pilot.press("r")
        await until(pilot, lambda: cells_of(town.main.pane)[0][-1] == "drained: retire")
        await proposed(town, pilot, "x")
        await until(pilot, lambda: "it is removed from the keyring" in dialog(pilot))
        town.engine.passwords = {"app": {HUSH}}
        await pilot.press("escape")


async def test_what_broke_off_stands_first_and_n_goes_on_with_it(town: Stage, store: MemoryStore) -> None:
    store.entries["dbdeck/shop", "app#pending"] = entry("r3-0000")
    async with shown(town, WIDE) as pilot:
        [cells] = await drain(pilot, town)
        assert cells[-1] == "broke off: go on"
        assert "rotation=r3-0000" in details(town)
        await pilot.press("x")
        await until(pilot, lambda: "broke off: go on with that first" in town.status)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: "would send:" in dialog(pilot))
        assert "credential.rotate" in dialog(pilot)


async def test_an_empty_board_says_that_nothing_is_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, MemoryStore())
    async with shown(stage) as pilot:
        assert await drain(pilot, stage) == []
        await until(pilot, lambda: "no old password is kept or valid" in stage.main.pane.grid.empty)
        await pilot.press("x")
        await until(pilot, lambda: "nothing is selected" in stage.status)


# ---- the vault ---------------------------------------------------------------------------------


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pinned:
    """A locked vault that keeps what a rotation left."""
    vault = vault_at(tmp_path)
    vault.put("dbdeck/shop", "app", entry("r2"))
    vault.put("dbdeck/shop", "app#previous", entry("r1"))
    made = pin(Keyring(backend="vault", vault=str(vault.path)), environ={})
    use(monkeypatch, KeyringStore(made))
    return made


async def unlock(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
    pilot.app.screen.query_one(HiddenInput).value = MASTER.reveal()
    await pilot.press("enter")


async def test_a_locked_vault_is_said_and_u_unlocks_it(town: Stage, pinned: Pinned) -> None:
    overlapping = Account(name="two", host="%", overlap=True)
    town.engine.people = Accounts(accounts=(APP, overlapping), now=NOW)
    async with shown(town) as pilot:
        [cells] = await drain(pilot, town)
        assert (cells[0], cells[4]) == ("two", "?")
        assert "the vault is locked" in str(town.main.pane.query_one("#drain-note").render())
        assert "u unlock" in town.keys
        await pilot.press("u")
        await unlock(pilot)
        await until(pilot, lambda: [one[0] for one in cells_of(town.main.pane)] == ["app", "two"])
        assert "u unlock" not in town.keys


async def test_a_plan_that_needs_the_vault_asks_and_goes_on(town: Stage, pinned: Pinned) -> None:
    town.engine.list = town.engine.list[:5]
    async with shown(town, WIDE) as pilot:
        await view(pilot, town, "accounts", "4")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
        await unlock(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(
            pilot, lambda: "retire the old password of app" in dialog(pilot) or "would send" in dialog(pilot)
        )
        assert "locked" not in dialog(pilot)


async def test_without_the_vault_the_plan_says_that_nothing_was_executed(town: Stage, pinned: Pinned) -> None:
    async with shown(town, WIDE) as pilot:
        await view(pilot, town, "accounts", "4")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: "nothing was executed" in dialog(pilot))
        assert "locked" in dialog(pilot)


async def test_a_run_that_needs_the_vault_asks_and_goes_on(town: Stage, pinned: Pinned) -> None:
    """A rotation is planned without secrets; the store is first wanted when it is to run."""
    town.engine.passwords = {"app": {HUSH}}
    async with shown(town, WIDE) as pilot:
        await view(pilot, town, "accounts", "4")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: "would send:" in dialog(pilot))
        await pilot.press(*"leaver", "enter")
        await unlock(pilot)
        await until(pilot, lambda: bool(town.operator.sent))
        assert HUSH not in town.app.export_screenshot()


# ---- the keys of Accounts ----------------------------------------------------------------------


async def test_the_key_line_has_them_at_80_columns(town: Stage) -> None:
    async with shown(town) as pilot:
        await view(pilot, town, "accounts", "4")
        for word in ("n rotate", "x retire", "l lock", "c check"):
            assert word in town.keys
        await pilot.press("down")
        await until(pilot, lambda: "l unlock" in town.keys)
        await pilot.press("4")
        await until(pilot, lambda: "t end" in town.keys)
        assert "x retire" in town.keys
        assert len(town.keys) <= 80


async def test_l_locks_the_row_and_unlocks_what_is_locked(town: Stage) -> None:
    async with shown(town, WIDE) as pilot:
        lines = await view(pilot, town, "accounts", "4")
        await pilot.press("l")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: "nologin" in dialog(pilot).lower())
        await pilot.press("escape")
        place = next(i for i, cells in enumerate(lines) if cells[0] == "locked")
        await pilot.press(*["down"] * place, "l")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: "it may log in again" in dialog(pilot))


async def test_a_denied_rotation_is_struck_through_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: MemoryStore
) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.DEV)
    deny = Deny(select="env=dev", actions=("credential.*",), reason="the vault team rotates")
    stage.config = msgspec.structs.replace(stage.config, policy=Policy(deny=(deny,)))
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    stage.engine.people = Accounts(accounts=(APP,), now=NOW)
    async with shown(stage) as pilot:
        await view(pilot, stage, "accounts", "4")
        await pilot.press("n")
        await until(pilot, lambda: "the vault team rotates" in stage.status)
        await view(pilot, stage, "drain", "4")
        await pilot.press("x")
        await until(pilot, lambda: "the vault team rotates" in stage.status)


async def test_a_read_only_target_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: MemoryStore
) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.DEV)
    entry_ = msgspec.structs.replace(stage.config.targets["shop"], operator=None)
    stage.config = msgspec.structs.replace(stage.config, targets={"shop": entry_})
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    stage.engine.people = Accounts(accounts=(APP,), now=NOW)
    async with shown(stage) as pilot:
        await view(pilot, stage, "accounts", "4")
        await pilot.press("n")
        await until(pilot, lambda: "shop is read-only" in stage.status)


async def test_what_has_no_password_of_its_own_is_not_rotated(town: Stage) -> None:
    async with shown(town, WIDE) as pilot:
        lines = await view(pilot, town, "accounts", "4")
        place = next(i for i, cells in enumerate(lines) if cells[0] == "root")
        await pilot.press(*["down"] * place, "n")
        await until(pilot, lambda: "it belongs to the server itself" in town.status)
