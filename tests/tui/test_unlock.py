"""The vault's master in the console: asked for where it is needed, and the console goes on without."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.widgets import Static

import actions
from console.config import TargetEntry
from console.dispatch.registry import Registry
from console.errors import VaultLocked
from console.keyrings import Keyring, Pinned, pin
from console.model.target import EngineKind, Login
from console.secrets import Secret, resolve
from console.tui.app import ConsoleApp
from console.tui.screens.main import MainScreen
from console.tui.screens.unlock import HiddenInput, UnlockScreen
from tests.tui.stage import Stage, until
from tests.vault.disks import MASTER, vault_at

REFERENCE = "keyring:dbdeck/shop/monitor"


@pytest.fixture
def pinned(tmp_path: Path) -> Pinned:
    """A vault that holds the monitor's password, locked."""
    vault = vault_at(tmp_path)
    vault.put("dbdeck/shop", "monitor", Secret("hunter2"))
    return pin(Keyring(backend="vault", vault=str(vault.path)), environ={})


@pytest.fixture
def locked(stage: Stage, pinned: Pinned) -> Stage:
    """A console on a target whose password is in that vault; its engine looks it up as a driver does."""
    entry = TargetEntry(
        engine=EngineKind.POSTGRES, monitor=Login(user="m", password=REFERENCE), operator=None
    )
    stage.config = msgspec.structs.replace(stage.config, targets={"shop": entry})
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    stage.engine.before_read = look_up
    return stage


def look_up() -> None:
    resolve(REFERENCE)


def said(app: ConsoleApp) -> str:
    return str(app.screen.query_one("#wrong", Static).render())


async def test_a_wrong_master_is_said_and_the_right_one_opens_the_target(locked: Stage) -> None:
    async with locked.app.run_test() as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
        await pilot.press(*"wrong", "enter")
        await until(pilot, lambda: "not the master" in said(locked.app))
        entry = pilot.app.screen.query_one(HiddenInput)
        assert (entry.value, entry.has_focus) == ("", True)
        assert isinstance(pilot.app.screen, UnlockScreen)
        entry.value = MASTER.reveal()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen) and bool(locked.cells()))
        await locked.app.desk.close()


async def test_with_escape_the_target_is_unreachable_with_the_reason(locked: Stage) -> None:
    async with locked.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
        await pilot.press("escape")
        await until(pilot, lambda: locked.pane.reading.problem is not None)
        problem = locked.pane.reading.problem
        assert problem is not None
        assert problem.kind == VaultLocked.kind
        assert "locked" in problem.message
        await locked.app.desk.close()


async def test_opening_the_target_again_asks_again(locked: Stage) -> None:
    async with locked.app.run_test() as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen))
        locked.app.open_target("shop")
        await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
        pilot.app.screen.query_one(HiddenInput).value = MASTER.reveal()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen) and bool(locked.cells()))
        await locked.app.desk.close()


async def test_the_master_is_neither_drawn_nor_copied(locked: Stage) -> None:
    async with locked.app.run_test() as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, UnlockScreen))
        await pilot.press(*"hush")
        assert "hush" not in locked.app.export_screenshot()
        entry = pilot.app.screen.query_one(HiddenInput)
        entry.select_all()
        entry.action_copy()
        entry.action_cut()
        assert locked.app.clipboard == ""
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen))
        await locked.app.desk.close()


async def test_an_unlocked_vault_is_not_asked_for(locked: Stage, pinned: Pinned) -> None:
    assert pinned.vault is not None
    pinned.vault.unlock(MASTER)
    async with locked.app.run_test() as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen) and bool(locked.cells()))
        await locked.app.desk.close()


async def test_targets_that_need_no_vault_are_not_asked_about(stage: Stage, pinned: Pinned) -> None:
    async with stage.app.run_test() as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen) and bool(stage.cells()))
        await stage.app.desk.close()
