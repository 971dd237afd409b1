"""Deadlocks, transactions and the horizon with keys pressed, and the alarms of panes nobody looks at."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual import events
from textual._compositor import Compositor, LayoutUpdate
from textual.pilot import Pilot
from textual.widgets import Input

import actions
from console.audit.ledger import open_ledger
from console.config import Alert, Audit, Config
from console.dispatch.registry import Registry
from console.errors import AuditUnavailable
from console.model.deadlocks import Deadlock, DeadlockHistory, LockRef, Participant
from console.model.horizon import Holder, HolderKind, Horizon, Uncleaned
from console.model.sessions import Session, State
from console.model.target import Environment
from console.model.transactions import OpenTransaction
from console.tui.desk import Desk
from console.tui.messages import ActionRequested, Told
from console.tui.screens.arguments import ArgumentsScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.text import TextScreen
from console.tui.screens.views import TABS
from console.tui.widgets.bars import Bar, Status, TabLine
from tests.fakes import NOW, STARTED, make_session, storm
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, proposed, shown, until

DEADLOCK = Deadlock(
    at=NOW,
    source="server log",
    ident="one",
    participants=(
        Participant(
            session=11,
            user="shop_web",
            statement="update a set n = 1 where id = 7",
            wants=LockRef(mode="ShareLock", object="transaction 771"),
            holds=(LockRef(mode="ShareLock", object="transaction 770"),),
            victim=True,
        ),
        Participant(session=12, user="worker", wants=LockRef(mode="ShareLock", object="transaction 770")),
    ),
)


async def view(pilot: Pilot[Any], stage: Stage, name: str, *keys: str) -> list[tuple[str, ...]]:
    """Press the keys and wait until the view shows lines."""
    await pilot.press(*keys)
    await until(pilot, lambda: stage.main.pane.name_of_subject == name and bool(cells_of(stage.main.pane)))
    return cells_of(stage.main.pane)


async def test_a_view_is_painted_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shown(stage) as pilot:
        await pilot.press("0")
        await until(pilot, lambda: stage.main.pane.name_of_subject == "overview")
        await pilot.pause(0.5)
        painted: list[str] = []
        whole = Compositor.render_full_update

        def noted(self: Compositor, simplify: bool = False) -> LayoutUpdate:
            painted.append(stage.main.pane.name_of_subject)
            return whole(self, simplify)

        monkeypatch.setattr(Compositor, "render_full_update", noted)
        await view(pilot, stage, "locks", "1")
        await pilot.pause(0.5)
        assert not painted  # nothing but what the view covers
        assert stage.pane.grid.has_focus


def text(stage: Stage, selector: str) -> str:
    return str(stage.main.pane.query_one(selector).render())


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_deadlock_is_drawn_with_its_victim_and_its_order(stage: Stage, size: tuple[int, int]) -> None:
    earlier = msgspec.structs.replace(DEADLOCK, at=NOW - timedelta(hours=1), ident="earlier")
    stage.engine.history = DeadlockHistory(deadlocks=(DEADLOCK, earlier), counted=5, missed=3)
    async with shown(stage, size) as pilot:
        lines = await view(pilot, stage, "deadlocks", "1")
        assert [cells[2] for cells in lines] == ["11", "11"]
        assert lines[0][3] == "2", "both are of one kind"
        details = text(stage, ".details")
        assert "✗ rolled back" in details
        assert "└── 11" in details
        assert "session 11 held ShareLock on transaction 770" in details
        assert "3 more" in text(stage, "#deadlocks-note")
        await pilot.press("1")
        assert stage.main.pane is stage.pane


async def test_the_brackets_walk_through_all_views(stage: Stage) -> None:
    async with shown(stage) as pilot:
        names = []
        for _ in TABS:
            await pilot.press("right_square_bracket")
            names.append(stage.main.pane.name_of_subject)
        assert names == [*(tab.name for tab in TABS[2:]), "overview", "locks"]
        await pilot.press("left_square_bracket")
        assert stage.main.pane.name_of_subject == "overview"


async def test_what_was_to_be_drawn_after_a_screen_was_left_is_not(stage: Stage) -> None:
    """A screen goes from the leaves up, and what waits for the next drawing is called all the same."""
    async with shown(stage) as pilot:
        pane = stage.main.pane
        await pane.query_one(".beneath").remove()
        pane._tell_of_more()
        pane._follow()
        await pilot.pause()


async def test_a_new_deadlock_is_called_out_whatever_is_in_view(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await view(pilot, stage, "audit", "9")
        pane = stage.main.query_one("#deadlocks")
        await until(pilot, lambda: pane.reading.data is not None)  # type: ignore[attr-defined]
        stage.engine.history = DeadlockHistory(deadlocks=(DEADLOCK,), counted=1)
        pane.again()  # type: ignore[attr-defined]
        await until(pilot, lambda: "1 deadlock just happened" in stage.status)
        assert "(+1)" in str(stage.main.query_one(TabLine).render())
        await view(pilot, stage, "deadlocks", "1", "1")
        await until(pilot, lambda: "(+1)" not in str(stage.main.query_one(TabLine).render()))


@pytest.mark.parametrize("alert", list(Alert))
async def test_a_storm_rings_once_and_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alert: Alert
) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.DEV)
    limits = msgspec.structs.replace(stage.config.thresholds, storm_waiters=10, alert=alert)
    stage.app.desk.config = msgspec.structs.replace(stage.config, thresholds=limits)
    rung: list[str] = []
    monkeypatch.setattr(stage.app, "bell", lambda: rung.append("bell"))
    async with shown(stage) as pilot:
        assert rung == []
        await pilot.press("9")
        stage.engine.list = storm(12)
        await until(pilot, lambda: "lock storm: 12 sessions wait" in stage.status)
        assert "(12)" in str(stage.main.query_one(TabLine).render())
        stage.engine.list = storm(13)
        await until(pilot, lambda: "(13)" in str(stage.main.query_one(TabLine).render()))
        assert rung == ([] if alert is Alert.SCREEN else ["bell"])
        stage.engine.list = storm(2)
        await until(pilot, lambda: "(" not in str(stage.main.query_one(TabLine).render()))


def prepared() -> OpenTransaction:
    nobody = Session(
        id=0,
        started_at=STARTED,
        kind="prepared transaction",
        state=State.PREPARED,
        transaction_seconds=9000.0,
        prepared="pay-17",
    )
    return OpenTransaction(session=nobody, resolve="ROLLBACK PREPARED 'pay-17'", blocks=2, pins=4000)


async def test_transactions_are_listed_oldest_first_with_what_they_hold(stage: Stage) -> None:
    idle = make_session(1, state=State.IDLE_IN_TRANSACTION, transaction_seconds=3600.0)
    old = OpenTransaction(
        session=idle, statements=("update a", "select 1"), locks=4, blocks=4, objects=("public.orders",)
    )
    stage.engine.open = [prepared(), old]
    async with shown(stage, WIDE) as pilot:
        lines = await view(pilot, stage, "transactions", "2")
        assert [cells[0] for cells in lines[:2]] == ["prepared", "1"]
        assert "prepared transaction pay-17" in lines[0][-1]
        assert "ROLLBACK PREPARED 'pay-17'" in text(stage, ".details")
        assert "only a prepared" not in stage.keys
        await pilot.press("t")
        await until(pilot, lambda: "prepared transaction has no session" in stage.status)
        await pilot.press("down")
        await until(pilot, lambda: "4 locks on public.orders" in text(stage, ".details"))
        assert "select 1" in text(stage, ".details")
        await pilot.press("x")
        await until(pilot, lambda: "only a prepared transaction" in stage.status)


async def test_bulk_actions_ask_for_their_arguments_first(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await view(pilot, stage, "transactions", "2")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        entry = pilot.app.screen.query_one(Input)
        assert entry.value == "older_than=10m"
        entry.value = "older_then=10m"
        await pilot.press("enter")
        wrong = pilot.app.screen.query_one("#wrong")
        assert "did you mean older_than" in str(wrong.render())
        entry.value = "older_than=5s"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "nothing was executed" in stage.status)
        assert stage.operator.sent == []


async def test_escape_leaves_the_arguments_without_a_plan(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await view(pilot, stage, "transactions", "2")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "nothing was executed" in stage.status)


async def test_the_chain_is_broken_at_its_root_from_any_of_its_lines(stage: Stage) -> None:
    async with shown(stage, WIDE) as pilot:
        await pilot.press("down", "down", "b")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        assert "chain.break" in str(pilot.app.screen.query_one("VerticalScroll Static").render())


async def test_the_horizon_names_its_worst_holder_and_how_to_end_it(stage: Stage) -> None:
    slot = Holder(
        kind=HolderKind.SLOT, name="cdc", age=9_000_000, scope="every table", remedy="slot.drop name=cdc"
    )
    standby = Holder(
        kind=HolderKind.STANDBY, name="replica1", age=500, address="10.9.9.9", remedy="look at replica1"
    )
    stage.engine.cleanup = Horizon(
        holders=(slot, standby),
        age=9_000_000,
        uncleaned=(Uncleaned(table="public.orders", dead_rows=12_000, pinned=True),),
        notes=("backends of other roles are hidden: GRANT pg_monitor",),
    )
    async with shown(stage, WIDE) as pilot:
        lines = await view(pilot, stage, "horizon", "2", "2")
        assert [cells[0] for cells in lines] == ["9.0M", "500"]
        summary = str(stage.main.query_one("#horizon-summary", Bar).render())
        assert "replication slot cdc holds cleanup back" in summary
        assert "12k dead rows in 1 vacuumed table cannot be removed" in summary
        assert "GRANT pg_monitor" in text(stage, "#horizon-note")
        await pilot.press("down", "x")
        await until(pilot, lambda: "look at replica1" in stage.status)
        await pilot.press("f")
        await until(pilot, lambda: "10.9.9.9 is no target of the config" in stage.status)


async def test_going_to_a_standby_opens_its_target(stage: Stage) -> None:
    standby = Holder(kind=HolderKind.STANDBY, name="replica1", age=500, address="db1")
    stage.engine.cleanup = Horizon(holders=(standby,), age=500)
    async with shown(stage) as pilot:
        await view(pilot, stage, "horizon", "2", "2")
        before = stage.main
        await pilot.press("f")
        await until(pilot, lambda: stage.main is not before)


async def test_a_note_that_has_no_room_in_a_line_is_read_to_its_end(stage: Stage) -> None:
    """What deadlocked is in a log that cannot be read: the remedy stands in full at 80 columns, too."""
    why = " ".join(f"word{n}" for n in range(24))
    stage.engine.history = DeadlockHistory(counted=1, notes=(why,))
    async with shown(stage) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: stage.main.pane.name_of_subject == "deadlocks")
        note = stage.main.pane.query_one("#deadlocks-note")
        await until(pilot, lambda: "word23" in str(note.render()))
        await until(pilot, lambda: note.size.height == 3)


async def test_a_refusal_that_has_no_room_in_a_line_gets_another(stage: Stage) -> None:
    async with shown(stage) as pilot:
        status = stage.main.query_one(Status)
        stage.main.post_message(Told("no " * 40, bad=True))
        await until(pilot, lambda: status.size.height == 2)
        stage.main.post_message(Told("yes"))
        await until(pilot, lambda: status.size.height == 1)


async def test_ctrl_x_without_an_action_says_so(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("ctrl+x")
        await until(pilot, lambda: "no action is running" in stage.status)


async def test_the_palette_offers_every_action(stage: Stage) -> None:
    async with shown(stage, WIDE) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "CommandPalette")
        await pilot.press(*"Action chain", "enter")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))


async def test_enter_shows_a_deadlock_in_full(stage: Stage) -> None:
    stage.engine.history = DeadlockHistory(deadlocks=(DEADLOCK,), counted=1)
    async with shown(stage) as pilot:
        await view(pilot, stage, "deadlocks", "1")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))


async def test_leaving_during_a_watch_ends_the_watch_and_keeps_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, Environment.DEV)
    limits = msgspec.structs.replace(stage.config.thresholds, watch=60.0)
    stage.app.desk.config = msgspec.structs.replace(stage.config, thresholds=limits)
    async with shown(stage) as pilot:
        await proposed(stage, pilot, "t")
        await pilot.press(*"stuck", "enter")
        await until(pilot, lambda: bool(stage.operator.sent))
        async with asyncio.timeout(10):
            await stage.app.desk.close()
    async with open_ledger(stage.config.audit.url, stage.config.journal) as ledger:
        kinds = [entry.kind for entry in await ledger.entries(newest_first=False)]
    assert kinds[:4] == ["open", "intent", "step", "outcome"]


async def test_the_dialog_opens_before_its_plan_and_takes_the_keys(stage: Stage) -> None:
    """A slow server must not let what was meant as a reason press keys of the pane."""
    async with shown(stage) as pilot:
        hang = asyncio.Event()
        stage.engine.before_read = hang.wait
        stage.main.post_message(ActionRequested("session.terminate", {"id": 1, "started_at": STARTED}))
        await proposed(stage, pilot, "t")
        pilot.app.screen.query_one("#reason", Input).value = ""
        await pilot.press(*"quit", "enter")
        dialogs = [one for one in pilot.app.screen_stack if isinstance(one, ConfirmScreen)]
        assert len(dialogs) == 1
        assert "planning" in str(dialogs[0].query_one("#plan").render())
        assert "not there yet" in str(dialogs[0].query_one("#why").render())
        assert dialogs[0].query_one("#reason", Input).value == "quit"
        assert stage.operator.sent == []
        hang.set()
        await until(pilot, lambda: "pg_terminate_backend" in str(dialogs[0].query_one("#plan").render()))
        await pilot.press("enter")
        await until(pilot, lambda: len(stage.operator.sent) == 1)


async def test_keys_typed_before_the_dialog_is_there_are_no_shortcuts(stage: Stage) -> None:
    """A terminal that was slow hands over all that was typed at once."""
    async with shown(stage) as pilot:
        for key in "tq29":
            pilot.app.post_message(events.Key(key, key))
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        assert stage.main.pane is stage.pane
        await pilot.press("escape")
        await until(pilot, lambda: "nothing was executed" in stage.status)
        await pilot.press("9")
        await until(pilot, lambda: stage.main.pane.name_of_subject == "audit")


async def test_escape_leaves_a_plan_that_is_still_being_made(stage: Stage) -> None:
    async with shown(stage) as pilot:
        hang = asyncio.Event()
        stage.engine.before_read = hang.wait
        await pilot.press("t")
        asked = asyncio.get_running_loop().time()
        while not isinstance(pilot.app.screen, ConfirmScreen):
            await pilot.pause(0.02)
            if asyncio.get_running_loop().time() - asked > 3:  # what was shown had become old before the key
                hang.set()
                await until(pilot, lambda: "live" in stage.bar)
                hang.clear()
                await pilot.press("t")
                asked = asyncio.get_running_loop().time()
        await pilot.press("escape")
        await until(pilot, lambda: "nothing was executed" in stage.status)
        hang.set()
        await until(pilot, lambda: "live" in stage.bar)  # old data would take no key
        await proposed(stage, pilot, "t")


async def test_old_data_of_another_view_is_not_called_live(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await view(pilot, stage, "transactions", "2")
        await pilot.press("1")
        await until(pilot, lambda: "live" in stage.bar)
        await asyncio.sleep(3)
        stage.engine.before_read = asyncio.Event().wait
        await pilot.press("2")
        assert "live" not in stage.bar
        assert "old" in stage.bar
        await pilot.press("t")
        await until(pilot, lambda: "what is shown is old" in stage.status)


async def test_a_plan_that_fails_tells_why_in_its_dialog(stage: Stage) -> None:
    """It neither closes under the keys of who types a reason, nor takes that reason for a yes."""
    async with shown(stage) as pilot:
        stage.main.post_message(ActionRequested("session.terminate", {"id": 99, "started_at": STARTED}))
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        dialog = pilot.app.screen
        await until(pilot, lambda: "session 99 is gone" in str(dialog.query_one("#plan").render()))
        await pilot.press(*"quit", "enter")
        assert pilot.app.screen is dialog
        assert "there is no plan" in str(dialog.query_one("#why").render())
        assert not dialog.query_one("#go").display
        await pilot.press("escape")
        await until(pilot, lambda: "session.terminate: session 99 is gone" in stage.status)
        assert pilot.app.screen is stage.main


async def test_a_result_does_not_cover_a_dialog(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await view(pilot, stage, "transactions", "2")
        await proposed(stage, pilot, "t")
        proof = asyncio.Event()
        await pilot.press(*"stuck")
        stage.operator.before_answer = proof.wait
        await pilot.press("enter")
        await until(pilot, lambda: bool(stage.operator.sent))
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, ArgumentsScreen))
        proof.set()
        await until(pilot, lambda: "session.terminate on shop: done" in stage.status)
        await pilot.press(*" user=x")
        assert pilot.app.screen.query_one(Input).value == "older_than=10m user=x"


async def test_a_listener_that_breaks_leaves_no_closed_ledger_behind(tmp_path: Path) -> None:
    """What cannot record must say so, and not look as if it could."""
    audit = Audit(url=f"sqlite:///{tmp_path}/audit.db", journal=str(tmp_path / "journal"))
    desk = Desk(Config(audit=audit), Registry(actions.ALL))

    async def broken() -> None:
        raise RuntimeError("the screen is not there")

    desk.keep_ledger(broken)
    assert desk._keeper is not None
    await asyncio.wait([desk._keeper], timeout=10)
    assert isinstance(desk._keeper.exception(), RuntimeError)
    assert (desk.ledger, desk.dispatcher) == (None, None)
    with pytest.raises(AuditUnavailable):
        desk.acting()


async def test_a_low_terminal_keeps_its_lines_for_the_sessions(stage: Stage) -> None:
    async with shown(stage, (30, 10)) as pilot:
        status = stage.main.query_one(Status)
        stage.main.post_message(Told("no " * 40, bad=True))
        await until(pilot, lambda: "no no" in stage.status)
        assert status.size.height == 1
