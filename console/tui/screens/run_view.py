"""A run as it is drawn: where it stands, what it saw and did, and what it asks."""

from __future__ import annotations

from datetime import UTC, datetime

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from console.engine.open import whoami
from console.errors import DbdeckError
from console.model.target import Target
from console.present import asking, run_head, run_map
from console.present import runs as words
from console.present.evidence import Evidence, evidence
from console.present.run_map import Spot
from console.present.run_page import page
from console.present.units import clean
from console.runbook.state import APPROVAL
from console.runbook.steps import Ask, Next, Walk, next_step
from console.tui.desk import Desk
from console.tui.hints import hint
from console.tui.runs import FollowedRun, LiveRun, SeenRun
from console.tui.screens.confirm import drawn
from console.tui.widgets.bars import KeyLine, Status, TargetBar
from console.tui.widgets.grid import Grid
from console.tui.widgets.question import Question
from console.tui.widgets.run_page import RunPage


class RunView(Screen[None]):
    """The map on the left, what there is to say of a step on the right, below it the question."""

    DEFAULT_CSS = """
    RunView #run-clock { height: 1; background: $panel; padding: 0 1; }
    RunView #run-body { height: 1fr; }
    RunView #run-map { width: 2fr; max-width: 60; }
    RunView #run-side { width: 3fr; }
    RunView #run-log { height: 1fr; border-top: solid $panel; padding: 0 1; scrollbar-size-vertical: 1;
                         display: none; }
    RunView.log #run-log { display: block; }
    RunView.log #run-page { display: none; }
    RunView.wide Question VerticalScroll { max-height: 20; }
    RunView.wide #run-log, RunView.wide #run-page { display: block; }
    """

    def __init__(self, desk: Desk, seen: SeenRun, target: Target | None) -> None:
        """`target` is None where the config does not know it: the run can be read then, and no more."""
        super().__init__()
        self._desk = desk
        self._target = target
        self._seen = seen
        self._spots: dict[str, Spot] = {}
        self._due: Next | None = None
        self._here = ""
        self._follows = True
        self._drawing = False

    def compose(self) -> ComposeResult:
        bar = TargetBar(id="run-head")
        if self._target is not None:
            bar.add_class(self._target.environment)
        yield bar
        yield Static("", id="run-clock", markup=False)
        with Horizontal(id="run-body"):
            yield Grid(id="run-map")
            with Vertical(id="run-side"):
                yield RunPage()
                with VerticalScroll(id="run-log"):
                    yield Static("", id="run-events", markup=False)
        yield Question()
        yield Status(id="status")
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(Grid).focus()
        self.set_interval(1.0, self._tick)
        self._look_at(self._seen)

    def on_unmount(self) -> None:
        self._seen.changed = _nobody

    @property
    def seen(self) -> SeenRun:
        return self._seen

    def _look_at(self, seen: SeenRun) -> None:
        self._seen.changed = _nobody
        self._seen = seen
        seen.changed = self.changed
        if isinstance(seen, FollowedRun) and self._target is not None:
            self._follow(seen, self._target)
        self.changed()

    @work(exclusive=True, group="follow")
    async def _follow(self, seen: FollowedRun, target: Target) -> None:
        try:
            await seen.follow(self._desk.acting(), target)
        except DbdeckError as error:
            self._tell(error.message, bad=True)

    # ---- drawing --------------------------------------------------------------------------------

    def changed(self) -> None:
        """Drawn once for however many changes came together."""
        if not self._drawing and self.is_attached:
            self._drawing = True
            self.call_later(self._draw)

    def _draw(self) -> None:
        self._drawing = False
        if not self.is_attached:
            return
        seen = self._seen
        if isinstance(seen, LiveRun) and seen.finished and not seen.over and seen.has_begun:
            self._see_again()
        self._due = seen.asked or _due(seen)
        drawn_ = run_map.spots(seen.documents, seen.run, self._due)
        self._spots = {spot.key: spot for spot in drawn_}
        here = next((spot.key for spot in drawn_ if spot.now), "")
        grid = self.query_one("#run-map", Grid)
        self._here = here
        grid.set_table(run_map.COLUMNS, run_map.lines(drawn_, self._due))
        if self._follows and here:
            grid.move_to(here)
        self._draw_page()
        self._draw_log()
        self._draw_question()
        self._tick()
        self._show_keys()

    @work(exclusive=True, group="again")
    async def _see_again(self) -> None:
        """It came to a halt here: from now on it is looked at as the ledger has it."""
        try:
            self._look_at(await self._desk.runs.seen(self._seen.id))
        except DbdeckError as error:
            self._tell(error.message, bad=True)

    def _tick(self) -> None:
        seen, now = self._seen, now_utc()
        left = run_head.title(
            seen.run, self._target, seen.runner, seen.events[0].at if seen.events else now, now
        )
        state = run_head.freshness(seen.state, seen.events, now) if seen.events else seen.state
        self.query_one("#run-head", TargetBar).show(left, state, stale=seen.problem is not None)
        looked = seen.looked if isinstance(seen, LiveRun) else {}
        told = run_head.clock(
            self._spots.get(self._here), seen.events, looked, now, asked=seen.asked, over=seen.over
        )
        if isinstance(seen, FollowedRun) and seen.free:
            told = "nobody runs it now: r goes on with it, and the ledger says that you did"
        self.query_one("#run-clock", Static).update(seen.said or told)
        if seen.problem is not None:
            self._tell(f"{seen.problem.message} {seen.problem.hint}".strip(), bad=True)

    def _draw_page(self) -> None:
        spot = self._spots.get(self.query_one("#run-map", Grid).key or "")
        if spot is not None:
            walk = Walk(self._seen.documents, self._seen.run)
            found = page(walk, spot, (one.event for one in self._seen.events))
            self.query_one(RunPage).show(found, spot.key)

    def _draw_log(self) -> None:
        said = []
        for one in self._seen.events:
            tone, text = words.line(one.event)
            said.append((tone, f"{one.at:%H:%M:%S}  {text}"))
        if self._logged != len(said):
            self._logged = len(said)
            self.query_one("#run-events", Static).update(drawn(said))
            self.query_one("#run-log", VerticalScroll).scroll_end(animate=False)

    _logged = -1

    def _draw_question(self) -> None:
        ask = self._seen.asked
        if ask is None:
            self._ask_nothing()
            return
        spot = self._spots.get(ask.key)
        choices = asking.choices(ask, spot.step if spot else None)
        said = words.asked(ask)
        if ask.question == APPROVAL and self._seen.run.started.by == whoami():
            choices, said = (
                [],
                [
                    *said,
                    *asking.own_approval(
                        self._seen.run.started.run, hint(self, "{run.hand-over}"), hint(self, "{run.stop}")
                    ),
                ],
            )
        self.query_one(Question).show(ask, said, choices)

    def _ask_nothing(self) -> None:
        question = self.query_one(Question)
        if question.typing:
            self.query_one("#run-map", Grid).focus()
        question.show(None, [], [])

    def _show_keys(self) -> None:
        raise NotImplementedError

    def _tell(self, text: str, *, bad: bool = False) -> None:
        self.query_one(Status).tell(f" {clean(text, 500)}", bad=bad)

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 120, "wide")
        self.changed()

    @property
    def _tables(self) -> list[Evidence]:
        """What the step under the cursor saved."""
        spot = self._spots.get(self.query_one("#run-map", Grid).key or "")
        return evidence(spot.step, spot.state.value) if spot is not None and spot.step is not None else []

    def on_grid_highlighted(self) -> None:
        grid = self.query_one("#run-map", Grid)
        self._follows = grid.key == self._here
        self._draw_page()
        self._show_keys()


def now_utc() -> datetime:
    return datetime.now(UTC)


def _nobody() -> None:
    """No screen shows it."""


def _due(seen: SeenRun) -> Next | None:
    """What comes next as the documents say; what a live run asks is known better from its runner."""
    try:
        found = next_step(seen.documents, seen.run)
    except DbdeckError:
        return None
    return None if isinstance(found, Ask) and isinstance(seen, LiveRun) and not seen.finished else found
