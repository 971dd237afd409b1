"""The console while the ledger is out of reach: look, wait, or break the glass in a red frame."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

import actions
from console.audit import glass as audit_glass
from console.audit import ledger as audit_ledger
from console.audit.journal import GLASS
from console.audit.ledger import open_ledger
from console.audit.readback import line_of
from console.audit.record import Row
from console.dispatch.registry import Registry
from console.model.anchors import Anchor, Checkpoints
from console.model.policy import BreakGlass, Deny, Policy
from console.model.target import Environment
from console.tui import desk
from console.tui.app import ConsoleApp
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.glass import GlassScreen
from console.tui.screens.main import MainScreen
from console.tui.screens.text import TextScreen
from tests.tui.stage import NARROW, Stage, until

MAY = Policy(break_glass=(BreakGlass(who=("*",), minutes=5),))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(tmp_path, monkeypatch, Environment.DEV)
    monkeypatch.setattr(desk, "RETRY_SECONDS", 1.0)
    for module, name in ((audit_ledger, "open_ledger"), (audit_glass, "open_glass")):
        opener = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, opener=opener, **more: opener(*given, deadline=0.5, **more)
        )
    ruled(made, MAY)
    return made


def ruled(stage: Stage, policy: Policy) -> None:
    stage.config = msgspec.structs.replace(stage.config, policy=policy)
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))


def folder(stage: Stage) -> Path:
    return Path(stage.config.audit.journal).parent


@contextlib.asynccontextmanager
async def away(stage: Stage) -> AsyncIterator[sqlite3.Connection]:
    """This machine has written to the ledger, and now somebody holds it: until `rollback`."""
    async with open_ledger(stage.config.audit.url, stage.config.journal):
        pass
    with contextlib.closing(sqlite3.connect(folder(stage) / "audit.db", isolation_level=None)) as locker:
        locker.execute("begin immediate")
        yield locker


@contextlib.asynccontextmanager
async def without_ledger(stage: Stage) -> AsyncIterator[tuple[Pilot[Any], sqlite3.Connection]]:
    """The console on a ledger that is away, and its dialog."""
    async with away(stage) as locker, stage.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: bool(stage.cells()) and stage.app.desk.ledger_problem is not None)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, GlassScreen))
        yield pilot, locker
        await stage.app.desk.close()


def why(pilot: Pilot[Any]) -> str:
    return str(pilot.app.screen.query_one("#why", Static).render())


async def break_it(pilot: Pilot[Any], stage: Stage) -> None:
    await pilot.press("b", *"down", "enter", *"shop", "enter", "enter")
    await until(pilot, lambda: stage.app.desk.glass.left is not None)


async def test_a_broken_glass_frames_the_console_and_records_in_its_journal(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        await break_it(pilot, stage)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: "BREAK-GLASS on shop · 4:5" in str(pilot.app.screen.border_title))
        reason = pilot.app.screen.query_one("#reason", Input)
        assert reason.placeholder == "reason (recorded in the journal of the break-glass alone)"
        assert stage.main.styles.border_top[0] == "heavy"
        await pilot.press(*"blocks", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        assert stage.operator.sent
        await pilot.press("escape", "ctrl+g")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen) and not stage.main.border_title)
        assert stage.app.desk.glass.told == "a key-press (^g)"
        (journal,) = (folder(stage) / "journal").glob(f"*{GLASS}")
        kinds = [line.split('"kind":"')[1].split('"')[0] for line in journal.read_text().splitlines()[1:]]
        assert kinds == ["open", "breakglass", "intent", "step", "outcome", "breakglass"]


async def test_q_looks_only(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.screen is stage.main)
        assert "nothing was executed" in stage.status


async def test_a_syslog_is_told_each_row(stage: Stage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.setblocking(False)
        anchors = Anchor(syslog=f"udp://127.0.0.1:{log.getsockname()[1]}"), Anchor(syslog="/no/log")
        audit = msgspec.structs.replace(stage.config.audit, checkpoints=Checkpoints(anchors=anchors))
        stage.config = msgspec.structs.replace(stage.config, audit=audit)
        ruled(stage, MAY)
        async with without_ledger(stage) as (pilot, _):
            await break_it(pilot, stage)
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
            await pilot.press("escape", "ctrl+g")
            await until(pilot, lambda: stage.app.desk.glass.left is None)
        (journal,) = (folder(stage) / "journal").glob(f"*{GLASS}")
        rows = [row for line in journal.read_bytes().splitlines() if isinstance(row := line_of(line), Row)]
        assert rows
        told = [log.recv(4096).decode() for _ in rows]
        assert all(line.rstrip("\0").endswith(row.link.hex()) for row, line in zip(rows, told, strict=True))
        said = f"{len(rows)} receipts of its rows are not known to be in /no/log"
        assert said in stage.app.desk.glass.told


async def test_a_syslog_that_is_no_address_is_told(stage: Stage) -> None:
    anchors = (Anchor(syslog="udp://127.0.0.1:99999"),)
    audit = msgspec.structs.replace(stage.config.audit, checkpoints=Checkpoints(anchors=anchors))
    stage.config = msgspec.structs.replace(stage.config, audit=audit)
    ruled(stage, MAY)
    async with without_ledger(stage) as (pilot, _):
        await break_it(pilot, stage)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("escape", "ctrl+g")
        await until(pilot, lambda: stage.app.desk.glass.left is None)
    assert "not known to be in udp://127.0.0.1:99999" in stage.app.desk.glass.told


async def test_an_error_of_another_kind_leaves_the_glass_whole_and_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(audit_glass, "Receipts")
    async with without_ledger(stage) as (pilot, _):
        await pilot.press("b", *"down", "enter", *"shop", "enter", "enter")
        await until(pilot, lambda: "NameError" in why(pilot))
        assert "nothing was executed" in why(pilot)
        assert stage.app.desk.glass.left is None


async def test_one_that_nobody_waits_for_any_more_does_not_begin(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        glass = stage.app.desk.glass
        opening = asyncio.create_task(glass.open(stage.config.all_targets()[0], "down", 5))
        await until(pilot, lambda: glass._keeper is not None)
        opening.cancel()
        await until(pilot, lambda: glass._keeper is None)
        assert (glass.left, glass.dispatcher) == (None, None)
        await break_it(pilot, stage)


async def test_while_it_is_broken_nothing_else_is_chosen(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        screen = pilot.app.screen
        assert isinstance(screen, GlassScreen)
        screen._busy = True
        screen.action_wait()
        assert not screen._waits


async def test_in_the_frame_a_long_plan_leaves_its_buttons_in_view(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        await break_it(pilot, stage)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        dialog = pilot.app.screen
        await until(pilot, lambda: dialog.has_class("glass"))
        dialog.query_one("#plan", Static).update("a statement\n" * 60)
        await pilot.pause(0.3)
        box = dialog.query_one("Vertical").content_region
        assert all(box.contains_region(dialog.query_one(name).region) for name in ("#reason", "#why", "#go"))


async def test_in_the_frame_a_long_page_says_how_it_is_left(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        await break_it(pilot, stage)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is stage.main)
        page = TextScreen("long", "a line\n" * 60)
        await pilot.app.push_screen(page)
        await until(pilot, lambda: page.has_class("glass"))
        await pilot.pause(0.3)
        assert page.query_one("Vertical").content_region.contains_region(page.query_one(".foot").region)


async def test_minutes_that_are_no_number_are_still_to_be_read(stage: Stage) -> None:
    """A border took the one line that the field has."""
    async with without_ledger(stage) as (pilot, _):
        await pilot.press("b", *"down", "enter", *"shop", "enter", "backspace", "minus")
        field = pilot.app.screen.query_one("#minutes", Input)
        await until(pilot, lambda: field.value == "-" and "-invalid" in field.classes)
        assert field.content_size.height == 1


async def test_nothing_is_broken_without_a_reason_the_name_and_minutes(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        await pilot.press("b", "ctrl+s")
        await until(pilot, lambda: "a reason is needed" in why(pilot))
        await pilot.press(*"down", "enter", *"shpo", "ctrl+s")
        await until(pilot, lambda: "type the target's name" in why(pilot))
        await pilot.press(*["backspace"] * 4, *"shop", "enter", "backspace", *"31", "ctrl+s")
        await until(pilot, lambda: "1 to 5" in why(pilot))
        assert stage.app.desk.glass.left is None
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen))
        assert not stage.operator.sent


async def test_who_waits_goes_on_when_the_ledger_answers(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, locker):
        await pilot.press("w")
        await until(pilot, lambda: "waiting" in why(pilot))
        locker.execute("rollback")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        assert stage.app.desk.glass.left is None


async def test_a_ledger_that_answers_again_ends_it(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, locker):
        await break_it(pilot, stage)
        locker.execute("rollback")
        await until(pilot, lambda: stage.app.desk.dispatcher is not None and not stage.main.border_title)
        assert stage.app.desk.glass.left is None


@pytest.mark.parametrize("policy", [Policy(), Policy(break_glass=(BreakGlass(who=("nobody-else",)),))])
async def test_whom_the_policy_does_not_let_is_told_so(stage: Stage, policy: Policy) -> None:
    ruled(stage, policy)
    async with without_ledger(stage) as (pilot, _):
        await pilot.press("b")
        await until(pilot, lambda: "no policy lets" in why(pilot))
        assert not pilot.app.screen.has_class("asking")


async def test_what_the_policy_denies_opens_no_dialog(stage: Stage) -> None:
    ruled(stage, Policy(break_glass=MAY.break_glass, deny=(Deny(actions=("*",), reason="hands off"),)))
    async with away(stage), stage.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: bool(stage.cells()) and stage.app.desk.ledger_problem is not None)
        await pilot.pause(0.3)
        await pilot.press("t")
        await until(pilot, lambda: "hands off" in stage.status)
        assert isinstance(pilot.app.screen, MainScreen)
        await stage.app.desk.close()


async def test_a_ledger_that_hangs_later_is_asked_about_too(stage: Stage) -> None:
    async with stage.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: bool(stage.cells()) and "ledger is open" in stage.status)
        locker = sqlite3.connect(folder(stage) / "audit.db", isolation_level=None)
        with contextlib.closing(locker):
            locker.execute("begin immediate")
            await pilot.press("t")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
            await pilot.pause(0.3)
            await pilot.press(*"why", "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, GlassScreen))
            assert not stage.operator.sent
            await break_it(pilot, stage)
            await until(pilot, lambda: "press the key again" in stage.status)
            await pilot.press("t")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await stage.app.desk.close()


def said(pilot: Pilot[Any]) -> str:
    return " ".join(str(one.render()) for one in pilot.app.screen.query(Static))


async def test_what_is_not_merged_is_told_at_start(stage: Stage) -> None:
    async with without_ledger(stage) as (pilot, _):
        await break_it(pilot, stage)
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    async with stage.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        await until(pilot, lambda: "of a break-glass are in" in said(pilot) and "not merged" in said(pilot))
        await stage.app.desk.close()
