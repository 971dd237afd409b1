"""The Backups, Drills and Trends views, with keys pressed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

import actions
from console.audit.record import Kind
from console.dispatch.registry import Registry
from console.model.backups import Drills, Method, Source, TargetDrills
from console.tui.app import ConsoleApp
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.text import TextScreen
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, shown, until

DUMP = "-- PostgreSQL database dump\n\nselect 1;\n\n-- PostgreSQL database dump complete\n"


@pytest.fixture
def kept(stage: Stage, tmp_path: Path) -> Stage:
    """A target with one whole dump and one that was cut off."""
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "whole.sql").write_text(DUMP)
    (folder / "cut.sql").write_text(DUMP[:40])
    sources = {"nightly": Source(method=Method.PG_DUMP, path=str(folder))}
    drills = Drills(reports=str(tmp_path / "reports"), targets={"shop": TargetDrills(sources=sources)})
    stage.config = msgspec.structs.replace(stage.config, drills=drills)
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL))
    return stage


async def recorded(stage: Stage, hours: float, verdict: str = "pass", **more: Any) -> None:
    """A drill of so long ago, as its outcome keeps it."""
    ledger = stage.app.desk.ledger
    assert ledger is not None
    began = datetime.now(UTC) - timedelta(hours=hours)
    drill = {
        "id": str(uuid4()), "source": "nightly", "backup": "whole.sql", "method": "pg_dump",
        "verdict": verdict, "started_at": began.isoformat(), "seconds": 70.0, "rto_seconds": 60.0,
        "rpo_seconds": 7200.0, "rto_target": 50.0, "rpo_target": 86400.0, "made": 9, "checks": 10,
    }  # fmt: skip
    about = {"action": "backup.drill", "target": "shop", "status": "applied"}
    number = uuid4()
    await ledger.append(Kind.INTENT, number, {**about, "operator": "me", "reason": "a test"})
    body = {**about, "verify": {"state": "applied", "evidence": {"drills": [{**drill, **more}]}}}
    await ledger.append(Kind.OUTCOME, number, body)


async def test_what_there_is_and_what_is_wrong_with_it_is_seen(kept: Stage) -> None:
    async with shown(kept) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: len(cells_of(kept.main.pane)) == 2)
        cells = {one[1]: one for one in cells_of(kept.main.pane)}
        assert "faulty" in cells["cut.sql"][6]
        assert cells["whole.sql"][6] == "never"


async def test_a_key_plans_a_drill_of_this_very_backup(kept: Stage) -> None:
    async with shown(kept, WIDE) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: len(cells_of(kept.main.pane)) == 2)
        name = cells_of(kept.main.pane)[0][1]
        await pilot.press("d")
        await until(pilot, lambda: isinstance(kept.app.screen, ConfirmScreen))
        await until(pilot, lambda: "undo: nothing to undo" in text_of(kept))
        assert f"restore drill of shop: nightly {name}" in text_of(kept)


def text_of(stage: Stage) -> str:
    from textual.widgets import Static

    return " ".join(str(one.render()) for one in stage.app.screen.query(Static))


async def test_a_drill_is_seen_beside_its_backup_and_in_the_history(kept: Stage) -> None:
    async with shown(kept, WIDE) as pilot:
        await recorded(kept, 2)
        await pilot.press("5")
        await until(pilot, lambda: any("pass" in one for one in cells_of(kept.main.pane)))
        await pilot.press("5")
        await until(pilot, lambda: bool(cells_of(kept.main.pane)))
        cells = cells_of(kept.main.pane)[0]
        assert (cells[2], cells[3], cells[5]) == ("pass", "1m00", "9/10")


async def test_trends_tell_what_is_overdue(kept: Stage) -> None:
    async with shown(kept, WIDE) as pilot:
        await recorded(kept, 24 * 9)
        await pilot.press("5", "5", "5")
        await until(pilot, lambda: bool(cells_of(kept.main.pane)))
        assert cells_of(kept.main.pane)[0][2] == "2d00h late"
        await recorded(kept, 1)
        await pilot.press("r")
        await until(pilot, lambda: cells_of(kept.main.pane)[0][2] == "in time")


async def test_a_report_that_is_not_here_says_where_it_is(kept: Stage) -> None:
    async with shown(kept, WIDE) as pilot:
        await recorded(kept, 1, report="/nowhere/at/all.json", host="backup1")
        await pilot.press("5", "5")
        await until(pilot, lambda: bool(cells_of(kept.main.pane)))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(kept.app.screen, TextScreen))
        assert "The drill ran on backup1" in shown_text(kept)


async def test_a_report_that_was_changed_is_told(kept: Stage, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("{}")
    path.with_suffix(".md").write_text("# all well")
    async with shown(kept, WIDE) as pilot:
        await recorded(kept, 1, report=str(path), sha256="0" * 64)
        await pilot.press("5", "5")
        await until(pilot, lambda: bool(cells_of(kept.main.pane)))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(kept.app.screen, TextScreen))
        assert "CHANGED since the ledger recorded it" in shown_text(kept)


def shown_text(stage: Stage) -> str:
    screen = stage.app.screen
    assert isinstance(screen, TextScreen)
    with stage.app.console.capture() as said:
        stage.app.console.print(screen._text)
    return " ".join(said.get().split())


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_backups_are_seen_while_the_server_is_down(kept: Stage, size: tuple[int, int]) -> None:
    from console.errors import Unreachable

    async with shown(kept, size) as pilot:
        kept.engine.fail = Unreachable("db1 does not answer")
        await pilot.press("5")
        await until(pilot, lambda: len(cells_of(kept.main.pane)) == 2)
        assert not kept.main.pane.reading.stale
