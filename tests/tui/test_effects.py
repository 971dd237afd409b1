"""The Effects view: what recorded looks found, read from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from console.audit.effects import found_note
from console.audit.record import Kind
from console.model.effects import Comparison, Finding, How, Standing
from console.tui.widgets.bars import Bar
from tests.tui.stage import Stage, cells_of, shown, until

AT = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
SPY = Finding(
    standing=Standing.UNDECLARED, kind="role", name="spy", how=How.MADE, since=AT, until=AT,
    after="superuser", who="eve, session 5",
)  # fmt: skip


async def test_without_a_recorded_look_it_is_empty(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("9", "9")
        await until(pilot, lambda: stage.main.pane.name_of_subject == "effects")
        await until(pilot, lambda: stage.main.pane.reading.data is not None)
        assert cells_of(stage.main.pane) == []


async def test_findings_stand_below_the_look_that_made_them(stage: Stage) -> None:
    async with shown(stage) as pilot:
        ledger = stage.app.desk.ledger
        assert ledger is not None
        found = Comparison(target="shop", since=AT, until=AT, findings=(SPY,), unseen={"log": "GRANT x"})
        await ledger.append(Kind.NOTE, uuid4(), found_note(found))
        await pilot.press("9", "9")
        await until(pilot, lambda: stage.main.pane.name_of_subject == "effects")
        await until(pilot, lambda: len(cells_of(stage.main.pane)) == 2)
        look, spy = cells_of(stage.main.pane)
        assert "looked: 1 not declared, 0 declared; remarks: 1" in look[2]
        assert (spy[1], spy[3]) == ("undeclared", "eve, session 5")
        assert "role spy made: superuser" in spy[2]
        await pilot.press("down")
        details = stage.main.pane.query_one(".details")
        await until(pilot, lambda: "by eve" in str(details.render()))


async def test_without_a_look_the_command_that_takes_one_is_told_for_this_target(stage: Stage) -> None:
    async with shown(stage) as pilot:
        await pilot.press("9", "9")
        await until(pilot, lambda: stage.main.pane.reading.data is not None)
        assert "dbdeck audit compare -t shop" in stage.main.pane.empty
        summary = stage.main.pane.query_one("#effects-summary", Bar)
        await until(pilot, lambda: "nobody has looked yet" in str(summary.render()))
