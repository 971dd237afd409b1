"""A run on the screen: its keys. Followed live where somebody else runs it, and taken over from there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from textual import work
from textual.binding import Binding, BindingType

from console.errors import DbdeckError
from console.model.target import Target
from console.new_file import write_new
from console.tui.desk import Desk
from console.tui.hints import mapped
from console.tui.runs import FollowedRun, LiveRun, SeenRun
from console.tui.screens.evidence import EvidenceScreen
from console.tui.screens.form import Field, FormScreen
from console.tui.screens.run_view import RunView
from console.tui.widgets.bars import Key, KeyLine
from console.tui.widgets.grid import Grid
from console.tui.widgets.question import Question
from console.tui.widgets.run_page import RunPage

TakeOver = Callable[[UUID], Awaitable[LiveRun]]


class RunScreen(RunView):
    """Leaving it leaves the run as it is: one of this console goes on, and is found again under Runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Leave the screen; the run is as it is", id="run.leave"),
        *(
            Binding(str(n), f"choose({n})", "Answer what is asked", show=False, id=f"run.choose-{n}")
            for n in range(1, 10)
        ),
        Binding("n", "note", "Add a note to the run", id="run.note"),
        Binding("h", "hand_over", "Hand over to another operator", id="run.hand-over"),
        Binding("r", "go_on", "Go on with a run that nobody runs", id="run.go-on"),
        Binding("ctrl+x", "stop", "Stop after what is under way", id="run.stop"),
        Binding("v", "evidence", "View what the step saved, in full", id="run.evidence"),
        Binding("t", "log", "The timeline, or the step again", id="run.log"),
        Binding("J", "read(1)", "Read on in what is asked", show=False, id="run.read-on"),
        Binding("K", "read(-1)", "Read what is asked upwards", show=False, id="run.read-up"),
        Binding("e", "export", "Export the run as a post-mortem", id="run.export"),
        Binding("f", "follow", "To where the run is", id="run.follow"),
        Binding("tab", "other", "Map, page, timeline, answer", show=False, priority=True, id="run.other"),
    ]

    def __init__(self, desk: Desk, seen: SeenRun, target: Target | None, take_over: TakeOver) -> None:
        super().__init__(desk, seen, target)
        self._take_over = take_over

    def _show_keys(self) -> None:
        seen = self._seen
        live = isinstance(seen, LiveRun)
        free = isinstance(seen, FollowedRun) and seen.free
        mine = "" if live else "this console does not run it"
        keys = (
            [Key("r", "go_on", "resume: take it over", self._against(), short="resume", rank=0)]
            if free
            else []
        )
        keys += [
            Key("n", "note", "note", rank=1),
            Key("h", "hand_over", "hand over", mine, rank=2),
            Key("^x", "stop", "stop", mine, rank=2),
            Key("v", "evidence", "evidence", "" if self._tables else "the step saved no rows", rank=1),
            Key("t", "log", "timeline", rank=1),
            Key("e", "export", "export", rank=4),
            Key("f", "follow", "to where it is", short="here", rank=3),
            Key("Esc", "leave", "leave", rank=0),
            Key("?", "app.help", "help", rank=4),
        ]
        self.query_one(KeyLine).show(mapped(self, keys))

    def _against(self) -> str:
        return "" if self._target is not None else "its target is none of the config"

    # ---- keys -----------------------------------------------------------------------------------

    def action_choose(self, number: int) -> None:
        question = self.query_one(Question)
        if not question.typing:
            question.choose(number)

    def action_read(self, step: int) -> None:
        question = self.query_one(Question)
        if question.display:
            question.read_on(step)
        else:
            self.query_one(RunPage).scroll_relative(y=step * 5, animate=False)

    async def on_key_line_pressed(self, event: KeyLine.Pressed) -> None:
        await self.app.run_action(event.action, self)

    def on_question_answered(self, event: Question.Answered) -> None:
        seen = self._seen
        if isinstance(seen, LiveRun) and not seen.answer(event.ask, event.decision, event.text):
            self._tell("that is not asked any more: nothing was answered", bad=True)

    def action_leave(self) -> None:
        question = self.query_one(Question)
        if question.typing:
            self.query_one("#run-map", Grid).focus()
            return
        self.dismiss(None)

    def action_other(self) -> None:
        """Map, page or timeline, answer, and round again."""
        question = self.query_one(Question)
        log = self.has_class("log") or self.has_class("wide")
        order: list[str] = ["#run-map"]
        order += ["#run-page"] if not self.has_class("log") or self.has_class("wide") else []
        order += ["#run-log"] if log else []
        order += ["#run-typed"] if question.display and self.query_one("#run-typed").display else []
        at = next((n for n, one in enumerate(order) if self.query_one(one).has_focus), -1)
        self.query_one(order[(at + 1) % len(order)]).focus()

    def action_follow(self) -> None:
        self._follows = True
        if self._here:
            self.query_one("#run-map", Grid).move_to(self._here)
        self.query_one("#run-map", Grid).focus()

    def action_log(self) -> None:
        self.toggle_class("log")

    def on_grid_selected(self) -> None:
        self.action_evidence()

    def action_evidence(self) -> None:
        if self._tables:
            self.app.push_screen(EvidenceScreen(self._tables))
        else:
            self._tell("evidence: this step saved no rows")

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """As Markdown and as a page of HTML, in the working folder, readable by the owner only."""
        from console.present import post_mortem_page as pages
        from console.present.post_mortem import post_mortem
        from console.runbook.history import effects, recall

        try:
            ledger = self._desk.acting().ledger
            report = post_mortem(await recall(ledger, self._seen.id), await effects(ledger, self._seen.id))
            path = Path.cwd() / f"dbdeck-run-{report.run}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
            await asyncio.to_thread(write_new, f"{path}.md", pages.markdown(report))
            await asyncio.to_thread(write_new, f"{path}.html", pages.html(report))
        except DbdeckError as error:
            self._tell(f"not exported: {error.message}", bad=True)
        else:
            self._tell(f"written: {path}.md and .html")

    def action_stop(self) -> None:
        if not isinstance(self._seen, LiveRun):
            self._tell("stop: this console does not run it", bad=True)
            return
        self._seen.stop()
        self._tell("stopping: what is under way is finished and recorded; resume goes on")

    @work(group="note")
    async def action_note(self) -> None:
        field = Field("text", "recorded in the ledger, with your name", check=_wanted("write something"))
        given = await self.app.push_screen_wait(FormScreen("a note", "", [field], "it is recorded"))
        if given is not None:
            await self._try(self._seen.remark(given["text"]), "the note is recorded")

    @work(group="hand-over")
    async def action_hand_over(self) -> None:
        seen = self._seen
        if not isinstance(seen, LiveRun):
            self._tell("hand over: this console does not run it", bad=True)
            return
        about = (
            "An action under way is finished first; then this console lets go of the run. Who takes it over "
            "opens it under Runs, or with `dbdeck runbook resume`, and is recorded."
        )
        fields = [
            Field("to", "to whom", check=_wanted("name who is to go on")),
            Field("text", "what they have to know (optional)"),
        ]
        given = await self.app.push_screen_wait(FormScreen("hand over", about, fields, "it is handed over"))
        if given is not None:
            await self._try(seen.hand_over(given["to"], given["text"]), f"handed over to {given['to']}")

    async def _try(self, doing: Awaitable[None], told: str) -> None:
        try:
            await doing
        except DbdeckError as error:
            self._tell(f"not recorded: {error.message}", bad=True)
        else:
            self._tell(told)

    @work(exclusive=True, group="go-on")
    async def action_go_on(self) -> None:
        """Whoever goes on is recorded before anything is done."""
        seen = self._seen
        if not isinstance(seen, FollowedRun) or seen.over:
            self._tell("go on: it has ended, or runs here already", bad=True)
            return
        try:
            self._look_at(await self._take_over(seen.id))
            self._tell("you run it now")
        except DbdeckError as error:
            self._tell(f"{error.message} {error.hint}".strip(), bad=True)


def _wanted(why: str) -> Callable[[str], str]:
    return lambda text: "" if text else why
