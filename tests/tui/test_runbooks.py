"""The library, a runbook's params and plan, and its run, with keys pressed over scripted engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

import actions
from console.__main__ import _runbooks
from console.audit.record import Kind
from console.config import Runbooks
from console.dispatch.registry import Registry
from console.errors import NoSlot, ServerSilent
from console.model.sessions import Protection
from console.model.target import Environment
from console.runbook.loader import load_folders
from console.runbook.suggesting import BESIDE, matches
from console.tui.app import ConsoleApp
from console.tui.runs import FollowedRun
from console.tui.screens.choose_runbook import ChooseRunbook
from console.tui.screens.evidence import EvidenceScreen
from console.tui.screens.form import FormScreen
from console.tui.screens.main import MainScreen
from console.tui.screens.run import RunScreen
from console.tui.screens.run_plan import RunPlanScreen
from console.tui.screens.text import TextScreen
from console.tui.widgets.bars import TabLine
from console.tui.widgets.grid import Grid
from console.tui.widgets.question import Question
from tests.fakes import storm
from tests.tui.stage import NARROW, WIDE, Stage, cells_of, shown, until

HEAD = """apiVersion: runbook/v1
id: {id}
title: {id}
owner: dba
reviewed: 2026-11-20
engines: {{{engines}}}
risk: high
"""
OWN = (
    HEAD.format(id="own", engines='postgresql: ">=13"')
    + """
params:
  how_many: {type: integer, required: true, min: 1, max: 5, help: how many}
  who: {type: session}
steps:
  - {id: hello, kind: note, why: "because **it** is `so`", text: "{{ how_many }} of them"}
  - {id: sure, kind: confirm, text: "all of {{ how_many }}?", phrase: do it}
"""
)
OLD = HEAD.format(id="old", engines='postgresql: "<13"') + "steps: [{id: a, kind: note, text: a}]\n"
WRONG = (
    HEAD.format(id="wrong", engines='postgresql: ">=13"') + "steps: [{id: a, kind: query, read: nothing}]\n"
)
FULL = (
    HEAD.format(id="full", engines='postgresql: ">=13"')
    + """suggest: [{when: "trouble == 'no_slot'", text: nobody gets in}]
steps: [{id: a, kind: note, text: a}]
"""
)
OWN_READ_ONLY = HEAD.format(id="writes", engines='postgresql: ">=13"') + (
    "preconditions: [{assert: not target.read_only, message: the target has no operator login}]\n"
    "steps: [{id: a, kind: note, text: a}]\n"
)


def with_library(stage: Stage, tmp_path: Path, *texts: str) -> Stage:
    folder = tmp_path / "own"
    folder.mkdir()
    for n, text in enumerate(texts):
        (folder / f"{n}.yaml").write_text(text)
    stage.config = msgspec.structs.replace(stage.config, runbooks=Runbooks(folders=(str(folder),)))
    stage.app = ConsoleApp(stage.config, Registry(actions.ALL), _runbooks)
    return stage


@pytest.fixture
def library(stage: Stage, tmp_path: Path) -> Stage:
    return with_library(stage, tmp_path, OWN, OLD, WRONG, FULL)


async def opened(pilot: Pilot[Any], stage: Stage) -> None:
    """The library, once it is there."""
    await until(pilot, lambda: stage.main._identity is not None)
    await pilot.press("6")
    await until(pilot, lambda: len(cells_of(stage.main.pane)) > 3)


async def form(pilot: Pilot[Any], stage: Stage, name: str, **texts: str) -> None:
    """The params of a runbook, filled in."""
    await opened(pilot, stage)
    stage.main.pane.grid.move_to(name)
    await pilot.press("s")
    await until(pilot, lambda: isinstance(pilot.app.screen, FormScreen))
    for field, text in texts.items():
        pilot.app.screen.query_one(f"#field-{field}", Input).value = text
    pilot.app.screen.query_one("#field-reason-", Input).value = "a test"
    await pilot.press("ctrl+s")


async def planned(pilot: Pilot[Any], word: str = "s starts it") -> str:
    """The plan, once its foot says this."""
    await until(pilot, lambda: isinstance(pilot.app.screen, RunPlanScreen))
    await until(pilot, lambda: word in str(pilot.app.screen.query_one("#run-foot", Static).render()))
    return str(pilot.app.screen.query_one("#run-tree", Static).render())


async def running(pilot: Pilot[Any]) -> RunScreen:
    await pilot.press("s")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
    assert isinstance(pilot.app.screen, RunScreen)
    return pilot.app.screen


async def asked(pilot: Pilot[Any], screen: RunScreen, question: str) -> Question:
    found = screen.query_one(Question)
    await until(pilot, lambda: found.ask is not None and found.ask.question == question)
    await pilot.pause(0.5)
    return found


async def kinds(stage: Stage) -> list[str]:
    ledger = stage.app.desk.ledger
    assert ledger is not None
    return [entry.kind for entry in await ledger.entries(newest_first=False)]


# ---- the library ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_what_does_not_fit_is_shown_and_says_why(library: Stage, size: tuple[int, int]) -> None:
    async with shown(library, size) as pilot:
        await opened(pilot, library)
        why = {cells[0]: cells[-1] for cells in cells_of(library.main.pane)}
        assert why["old"].startswith("not for PostgreSQL 18.1: it is for postgresql <13")
        assert why["wrong"].startswith("it has an error: read-unknown")
        library.main.pane.grid.move_to("old")
        await pilot.press("s")
        await until(pilot, lambda: "start: not for PostgreSQL 18.1" in library.status)


@pytest.mark.parametrize(
    ("words", "found"), [("hang", {"lock-storm"}), ("timeout lock wait", {"lock-storm"}), ("zebra", set())]
)
async def test_the_library_is_searched_by_symptom(library: Stage, words: str, found: set[str]) -> None:
    async with shown(library) as pilot:
        await opened(pilot, library)
        await pilot.press("slash", *words.replace(" ", "_").replace("_", " "), "enter")
        shipped = [one.document for one in load_folders([], _runbooks())]
        wanted = {one.id for one in shipped if matches(one, words)}
        assert found <= wanted < {one.id for one in shipped}
        await until(pilot, lambda: {cells[0] for cells in cells_of(library.main.pane)} == wanted)


async def test_a_storm_is_said_at_the_tab_and_its_runbook_stands_first(library: Stage) -> None:
    async with shown(library) as pilot:
        await until(pilot, lambda: "(1)" in str(library.main.query_one(TabLine).render()))
        await opened(pilot, library)
        await until(pilot, lambda: cells_of(library.main.pane)[0][0] == "lock-storm")
        assert cells_of(library.main.pane)[0][-1] == "4 sessions wait for locks, behind 1 at the root"


async def test_r_says_why_what_it_opens_is_suggested(library: Stage) -> None:
    """Of several the list says it; of one its form was opened without a word."""
    async with shown(library) as pilot:
        await until(pilot, lambda: "(1)" in str(library.main.query_one(TabLine).render()))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormScreen))
        await until(
            pilot, lambda: "lock-storm is suggested: 4 sessions wait for locks, behind 1" in library.status
        )


async def test_old_readings_suggest_nothing(library: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from console.tui import view

    monkeypatch.setattr(
        view, "FRESH_SECONDS", -60.0
    )  # a reading may be newer than the moment it is asked for
    async with shown(library) as pilot:
        await opened(pilot, library)
        await pilot.press("R")
        await until(pilot, lambda: "suggests no runbook" in library.status)


async def test_no_slot_left_is_seen_by_the_panes(library: Stage) -> None:
    async with shown(library, WIDE) as pilot:
        await opened(pilot, library)
        library.engine.fail = NoSlot("db1 has no connection slot left")
        await until(
            pilot,
            lambda: any(cells[-1] == "nobody gets in" for cells in cells_of(library.main.pane)),
        )


async def test_lag_is_looked_at_by_itself(library: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from console.tui.screens import main

    monkeypatch.setattr(main, "_FIRST_GLANCE_SECONDS", 0.5)
    library.engine.beat = msgspec.structs.replace(library.engine.beat, lag_seconds=90.0, replica="db2")
    async with shown(library, WIDE) as pilot:
        await opened(pilot, library)
        told = "replication is more than a minute behind"
        await until(pilot, lambda: any(told in cells[-1] for cells in cells_of(library.main.pane)))


async def test_a_look_reads_what_suggestions_rest_on_and_says_what_failed(library: Stage) -> None:
    async with shown(library, WIDE) as pilot:
        await opened(pilot, library)
        await pilot.press("l")
        await until(pilot, lambda: "looked at all" in library.status)
        library.engine.fail = ServerSilent("db1 did not answer")
        await pilot.press("l")
        note = library.main.pane.query_one("#runbooks-note", Static)
        await until(pilot, lambda: "transactions: db1 did not answer" in str(note.render()))


async def test_of_several_suggestions_one_is_chosen(library: Stage) -> None:
    library.engine.change(1, state_seconds=900.0)
    async with shown(library) as pilot:
        await until(pilot, lambda: library.main._identity is not None)
        await pilot.press("2")
        await until(pilot, lambda: bool(library.main.pane.items))
        await pilot.press("4", "R")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseRunbook))
        await pilot.press("escape")


async def test_a_name_of_a_suggestion_is_never_a_read() -> None:
    from console.present.reads import READS

    assert set(READS).isdisjoint(BESIDE)


# ---- params and plan ----------------------------------------------------------------------------------


async def test_a_wrong_param_is_told_where_it_stands(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "own", how_many="9")
        assert isinstance(pilot.app.screen, FormScreen)
        wrong = pilot.app.screen.query_one("#wrong-how_many", Static)
        assert "from 1 to 5" in str(wrong.render())
        await pilot.press("escape")
        await until(pilot, lambda: "nothing was started" in library.status)
        assert await kinds(library) == ["open"]


async def test_the_session_under_the_cursor_is_filled_in(library: Stage) -> None:
    from console.tui.messages import RunbookWanted
    from console.tui.screens.guided import session_of

    async with shown(library) as pilot:
        await opened(pilot, library)
        await pilot.press("1")
        document = (await library.app.desk.runs.bookcase.library()).get("own").document
        given = session_of(document, library.main._here())
        library.main.post_message(RunbookWanted("own", given))
        await until(pilot, lambda: bool(pilot.app.screen.query("#field-who")))
        value = pilot.app.screen.query_one("#field-who", Input).value
        assert value.startswith("1@2026-11-20T22:00:00")


async def test_nothing_is_recorded_before_the_plan_was_seen_and_started(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "own", how_many="2")
        tree = await planned(pilot)
        assert "all of 2?" in tree
        assert await kinds(library) == ["open"]
        await pilot.press("escape")
        await until(pilot, lambda: "own: nothing was started" in library.status)
        assert await kinds(library) == ["open"]


async def test_what_speaks_against_it_is_told_in_place_of_the_plan(stage: Stage, tmp_path: Path) -> None:
    library = with_library(stage, tmp_path, OWN, OLD, FULL, OWN_READ_ONLY)
    entry = next(iter(library.config.targets.values()))
    read_only = msgspec.structs.replace(entry, operator=None)
    library.config = msgspec.structs.replace(library.config, targets={"shop": read_only})
    library.app = ConsoleApp(library.config, Registry(actions.ALL), _runbooks)
    async with shown(library) as pilot:
        await form(pilot, library, "writes")
        said = await planned(pilot, "nothing can be started")
        assert "the target has no operator login" in said
        await pilot.press("s")
        assert isinstance(pilot.app.screen, RunPlanScreen)


async def test_without_a_ledger_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = with_library(Stage(tmp_path, monkeypatch, Environment.DEV), tmp_path, OWN, OLD, FULL)
    (tmp_path / "audit.db").mkdir()
    async with stage.app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: "nothing can be executed" in stage.status)
        await opened(pilot, stage)
        await pilot.press("s")
        await until(pilot, lambda: "the audit ledger is not open" in stage.status)
        await stage.app.desk.close()


# ---- a run ----------------------------------------------------------------------------------------------


async def test_a_wrong_phrase_is_refused_and_the_right_one_goes_on(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "own", how_many="2")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "confirm")
        await pilot.press(*"do It", "enter")
        assert screen.seen.run.step("sure").state == "new"
        assert "type do it, exactly so" in str(screen.query_one("Question .wrong", Static).render())
        screen.query_one("#run-typed", Input).value = "do it"
        await pilot.press("enter")
        await until(pilot, lambda: screen.seen.over)
        assert screen.seen.run.ended is not None
        assert screen.seen.run.ended.result == "ok"


async def test_in_prod_an_action_wants_the_targets_name_and_shows_its_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = with_library(Stage(tmp_path, monkeypatch, Environment.PROD), tmp_path, OWN, OLD, FULL)
    async with shown(stage) as pilot:
        await form(pilot, stage, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        question = await asked(pilot, screen, "action")
        text = str(question.query_one(".text", Static).render())
        assert "pg_terminate_backend" in text
        assert "forecast" in text
        await pilot.press(*"shap", "enter")
        assert stage.operator.sent == []
        screen.query_one("#run-typed", Input).value = "shop"
        await pilot.press("enter")
        await until(pilot, lambda: screen.seen.over)
        assert len(stage.operator.sent) == 1
        assert (await kinds(stage)).count("intent") == 1


async def test_an_answer_that_comes_too_soon_was_not_meant(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        question = screen.query_one(Question)
        await until(pilot, lambda: question.ask is not None)
        question._drawn_at += 3600
        await pilot.press("1")
        assert "that was quick" in str(screen.query_one("Question .wrong", Static).render())
        assert library.operator.sent == []


async def test_stop_leaves_the_run_to_be_gone_on_with(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "action")
        await pilot.press("ctrl+x")
        await until(pilot, lambda: "nobody runs it" in screen.seen.state)
        assert library.operator.sent == []
        assert screen.seen.run.ended is None
        await pilot.press("r")
        await asked(pilot, screen, "action")


async def test_what_was_saved_is_read_in_full_and_the_timeline_too(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "action")
        screen.query_one("#run-map", Grid).move_to("evidence")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, EvidenceScreen))
        await pilot.press("]", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        await pilot.press("escape", "escape", "t")
        await until(pilot, lambda: "look: 5 rows" in str(screen.query_one("#run-events", Static).render()))


async def test_escapes_of_a_server_never_reach_the_terminal(library: Stage) -> None:
    library.engine.list = storm(4)
    library.engine.change(1, application="\x1b[2Jevil", protection=Protection.WALSENDER)
    async with shown(library) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        await until(pilot, lambda: screen.seen.over)
        await pilot.press("g", "t")
        await pilot.pause(0.3)
        drawn = "".join(strip.text for strip in screen._compositor.render_strips())
        assert "\x1b" not in drawn


async def test_leaving_the_screen_leads_back_and_the_mouse_answers(library: Stage) -> None:
    async with shown(library, WIDE) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "action")
        await pilot.click("Question .choices", offset=(1, 0))
        await until(pilot, lambda: screen.seen.over)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(pilot.app.screen, MainScreen))


FOUR_EYES = HEAD.format(id="four-eyes", engines='postgresql: ">=13"') + (
    "approvals: {count: 1}\nsteps: [{id: a, kind: note, text: a}]\n"
)


async def test_who_started_it_cannot_approve_it_and_sees_when_another_did(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.runbook.events import Decided
    from console.runbook.history import body_of
    from console.tui import runs

    monkeypatch.setattr(runs, "REMARK_SECONDS", 0.1)
    library = with_library(stage, tmp_path, OWN, OLD, FULL, FOUR_EYES)
    async with shown(library) as pilot:
        await form(pilot, library, "four-eyes")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "approval")
        await pilot.press("1")
        assert not screen.seen.run.approvers
        ledger = library.app.desk.ledger
        assert ledger is not None
        yes = Decided(step="approval", question="approval", decision="approve", by="bob")
        await ledger.append(Kind.RUN, screen.seen.id, body_of(screen.seen.run.started, yes, "bob"))
        await until(pilot, lambda: isinstance(screen.seen, FollowedRun) and screen.seen.free)
        await pilot.press("r")
        await until(pilot, lambda: screen.seen.over)
        assert screen.seen.run.ended is not None
        assert screen.seen.run.ended.result == "ok"


async def test_a_ledger_that_fails_in_the_midst_halts_the_run_and_says_so(
    library: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.audit.ledger import Ledger
    from console.errors import AuditUnavailable

    async with shown(library, WIDE) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "action")

        async def down(*_: object, **__: object) -> None:
            raise AuditUnavailable("the ledger's disk is full")

        monkeypatch.setattr(Ledger, "append", down)
        await pilot.press("1")
        await until(pilot, lambda: "disk is full" in str(screen.query_one("#status", Static).render()))
        assert library.operator.sent == []


async def test_a_run_in_the_way_is_told_before_anything_is_recorded(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "own", how_many="2")
        await planned(pilot)
        library.operator.holder = "dbdeck (pid 7, from 10.0.0.9)"
        await pilot.press("s")
        await until(pilot, lambda: "is held by dbdeck (pid 7" in library.status)
        assert await kinds(library) == ["open"]
        assert library.app.desk.runs.live == {}


async def test_the_palette_starts_a_runbook_by_name(library: Stage) -> None:
    async with shown(library) as pilot:
        await opened(pilot, library)
        await pilot.press("ctrl+p", *"run runbook own")
        await pilot.pause(0.5)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormScreen))


async def test_the_palette_offers_the_runbooks_that_are_for_the_server(library: Stage) -> None:
    async with shown(library) as pilot:
        await opened(pilot, library)
        names = [name for name, _ in library.main.runbooks()]
        assert "own" in names
        assert "old" not in names


async def test_help_lists_the_keys_of_a_run(library: Stage) -> None:
    async with shown(library) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "action")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextScreen))
        said = " ".join(str(one.render()) for one in pilot.app.screen.query(Static))
        assert "Hand over to another operator" in said


async def test_a_run_is_exported_as_a_post_mortem(
    library: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with shown(library) as pilot:
        await form(pilot, library, "lock-storm")
        await planned(pilot)
        screen = await running(pilot)
        await asked(pilot, screen, "action")
        await pilot.press("e")
        await until(pilot, lambda: len(list(tmp_path.glob("dbdeck-run-*"))) == 2)
        pages = {path.suffix: path for path in tmp_path.glob("dbdeck-run-*")}
        assert {path.stat().st_mode & 0o777 for path in pages.values()} == {0o600}
        await until(pilot, lambda: "takes the way" in pages[".md"].read_text())
        assert str(screen.seen.id) in pages[".md"].read_text()
        await until(pilot, lambda: pages[".html"].read_text().rstrip().endswith("</html>"))
