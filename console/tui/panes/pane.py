"""What every pane is: a reading of one subject, polled while it is seen, drawn by key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive

from console.model.instants import steady_now
from console.model.reading import Reading
from console.poll import Feed
from console.present.sorting import Order, clicked, following, marked, ordered
from console.present.table import Column, Line
from console.present.units import is_narrow
from console.tui.hints import hint
from console.tui.widgets.bars import Bar, Key, Note
from console.tui.widgets.grid import Grid
from console.tui.widgets.plain_text import PlainText

_SLACK_SECONDS = 0.5
_SOONEST = 0.05  # seconds between two polls, whatever went by
_ROOMY = 40  # lines of a screen that has some to spare beneath a list
_TALLEST = {True: 13, False: 8}  # lines of the box on a wide screen and on another, without its edge
D = TypeVar("D")
T = TypeVar("T")


class Pane(Vertical, Generic[D, T]):
    """A summary line, a grid, and the details of the line under the cursor.

    A pane gets a callable that reads D, never an engine, and shows its items T. It polls while it is
    shown and not paused; one that `keeps_watch` polls unseen too, so that it can call for attention, and
    one with `unseen_seconds`, once it was shown; it polls rarely then.
    """

    DEFAULT_CSS = """
    Pane { height: 1fr; }
    Pane > .beneath { height: auto; max-height: 9; border-top: solid $panel; padding: 0 1;
                      border-title-color: $foreground-muted; border-title-align: right; }
    Pane.wide > .beneath { max-height: 14; }
    Pane .details { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("K", "details(-1)", "Details up", show=False, id="details.up"),
        Binding("J", "details(1)", "Details on", show=False, id="details.down"),
    ]
    name_of_subject = ""
    title = ""
    columns: tuple[Column, ...] = ()
    empty = ""
    keeps_watch = False
    of_server = True  # its readings tell whether the server answers
    unseen_seconds: float | None = None  # between polls while it is not shown
    needle: reactive[str] = reactive("")
    paused: reactive[bool] = reactive(default=False)

    class Read(Message):
        """A poll ended (well or badly)."""

        def __init__(self, pane: Pane[Any, Any]) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, read: Callable[[], Awaitable[D]], *, every: float) -> None:
        super().__init__(id=self.name_of_subject)
        self.feed: Feed[D] = Feed(read, every=every)
        self.every = every
        self.drawn: Sequence[Line] = ()
        self._data: D | None = None  # what is drawn: a newer reading may not be yet
        self._items: dict[str, T] | None = None
        self.sorted_by: Order | None = None
        self._shown = False
        self._shown_at = steady_now()
        self._soon = False
        self._tallest = 0  # of the texts beneath the lines
        self._room = Size(0, 0)
        self._detailed: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun: asyncio.Task[Reading[D]] | None = None

        self.grid = Grid(id=f"{self.name_of_subject}-grid", empty="reading …")
        self._summary = Bar(id=f"{self.name_of_subject}-summary")
        self._note = Note(id=f"{self.name_of_subject}-note")
        self._box = VerticalScroll(classes="beneath", can_focus=False)
        self._text = PlainText(classes="details", markup=False)

    def compose(self) -> ComposeResult:
        yield self._summary
        self._note.display = False
        yield self._note
        yield self.grid
        with self._box:
            yield self._text

    @property
    def reading(self) -> Reading[D]:
        return self.feed.reading

    @property
    def outdated(self) -> bool:
        """What is known is older than it should be, and nobody asked for that by pausing.

        That is one round for what was read before the view was opened (as often as it is read unseen), and
        else a refresh more: the next poll may be under way. A server that answers slowly is asked less often.
        """
        taken_at = self.reading.taken_at
        if taken_at is None or self.paused:
            return False
        unseen = taken_at < self._shown_at
        watched = self.unseen_seconds or 0.0 if unseen and self.keeps_watch else 0.0
        allowed = max(self.feed.pace, watched) + (0.0 if unseen else self.every)
        return (steady_now() - taken_at).total_seconds() > allowed + _SLACK_SECONDS

    # ---- to be filled in by a subject ---------------------------------------------------------

    def items_of(self, data: D) -> Sequence[T]:
        raise NotImplementedError

    def lines(self, data: D) -> Sequence[Line]:
        raise NotImplementedError

    def columns_of(self, data: D) -> Sequence[Column]:  # noqa: ARG002 - most subjects have the same ones
        """Those the engine has anything for."""
        return self.columns

    def key_of(self, item: T) -> str:
        raise NotImplementedError

    def summary(self, data: D) -> str:
        raise NotImplementedError

    def note(self, data: D) -> str:  # noqa: ARG002 - most subjects have none
        """A second line under the summary, only there when it says something."""
        return ""

    def details(self, item: T) -> str:
        raise NotImplementedError

    def document(self, data: D) -> dict[str, Any]:
        """The fields of `show SUBJECT --json` that come from the reading."""
        raise NotImplementedError

    def keys(self) -> list[Key]:
        """The pane's own keys for the key line."""
        return []

    def offers(self, action: str) -> bool:  # noqa: ARG002 - most keys are for every engine
        """Whether help names the key of this action; one that says only that it can do nothing is no help."""
        return True

    def fits(self, line: Line, needle: str) -> bool:
        """Whether a line is shown under a filter."""
        wanted = needle.casefold()
        return any(wanted in cell.casefold() for cell in line.cells)

    def here(self, item: T) -> dict[str, Any] | None:  # noqa: ARG002 - most subjects suggest nothing
        """An item as a row of its document, for a runbook that is to be started for it."""
        return None

    def opened(self, item: T) -> Message | None:  # noqa: ARG002 - most items are read in full
        """What Enter on an item asks for; None shows its details in full."""
        return None

    # ---- polling ------------------------------------------------------------------------------

    def start(self) -> None:
        """Called when the pane comes into view: what is known is drawn at once, and read again."""
        self._shown = True
        self._shown_at = steady_now()
        self.draw()
        self.poll_on()

    def stop(self) -> None:
        self._shown = False
        if self.paused and self.keeps_watch:
            self.poll_on()  # what it says of the server counts in other views, too

    def again(self) -> None:
        """Poll now instead of at the next turn."""
        self._soon = True
        self.poll_on()

    def forget(self) -> None:
        """What is shown is of another server than the one that answers now: nothing of it stays."""
        self.feed.forget()
        self._data, self._items, self.drawn = None, None, ()
        self.grid.set_table(self.columns, [])
        self._summary.say("")
        self._note.display = False
        self.draw()
        self.draw_details()
        self.again()

    def begin(self) -> None:
        """Ask already while the screen is being made: whoever starts the pane waits for that answer."""
        self._begun = asyncio.create_task(self.feed.poll())

    @work(exclusive=False, group="poll", exit_on_error=True)
    async def poll_on(self) -> None:
        """One poll, then the timer for the next; a poll under way is never joined by a second."""
        begun, self._begun = self._begun, None
        if begun is not None:
            self._told(_gone(await begun))
            return
        slowly = self.unseen_seconds is not None and self.reading.taken_at is not None
        seen = self._shown or self.keeps_watch or slowly
        paused = self.paused and (self._shown or not self.keeps_watch)
        if self.feed.waiting() or not seen or (paused and not self._soon):
            return
        self._soon = False
        await self.feed.poll()
        self._told()

    def _told(self, gone: float = 0.0) -> None:
        """A poll ended, so many seconds ago."""
        if not self.is_attached or not self._is_whole:
            return
        if self._shown:
            self.draw()
        self.post_message(self.Read(self))
        if self._timer is not None:
            self._timer.cancel()
        unseen = 0.0 if self._shown else self.unseen_seconds or 0.0
        delay = self.feed.delay if not gone else self.every
        # Not Textual's, which costs a task and a look at the method's signature each time.
        wait = max(_SOONEST, max(delay, unseen) - gone)
        self._timer = asyncio.get_running_loop().call_later(wait, self.poll_on)

    def on_unmount(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # ---- drawing ------------------------------------------------------------------------------

    @property
    def _is_whole(self) -> bool:
        """Not while its screen is left, which goes from the leaves up."""
        return self.grid.is_attached and self._text.is_attached

    def draw(self) -> None:
        data = self.reading.data
        grid = self.grid
        grid.stale = self.reading.stale or self.outdated
        if data is None:
            problem = self.reading.problem
            grid.empty = f"{problem.message}\n{problem.hint}" if problem else "reading …"
            return
        self._data, self._items = data, None
        lines = self.lines(data)
        if self.needle:
            lines = [line for line in lines if self.fits(line, self.needle)]
        grid.empty = f"nothing here contains {self.needle!r}" if self.needle else self.empty
        columns = self.columns_of(data)
        if self.sorted_by is not None and self.sorted_by.column < len(columns):
            lines, columns = ordered(lines, self.sorted_by), marked(columns, self.sorted_by)
        self.drawn = lines
        grid.set_table(columns, lines)
        said = [self.summary(data)]
        if self.needle:
            said.append(f"filter {self.needle!r}: {len(lines)} of {len(self.items_of(data))}")
        if self.paused:
            said.append("PAUSED")
        if (problem := self.reading.problem) is not None and not self.of_server:
            said.append(problem.message)  # the server's are in the status line
        self._summary.say(f" {'  ·  '.join(said)}")
        said_too = self.note(data)
        self._note.display = bool(said_too)
        self._note.say(f" {said_too}")
        self.draw_details()

    def draw_details(self) -> None:
        item = self.current
        text = "" if item is None else self.details(item)
        if text != getattr(self, "_details", None):
            self._details = text
            shown = self._box.display
            self._box.display = bool(text)
            laid_out = self._change(text) or shown != self._box.display
            if self.grid.key != self._detailed:
                self._detailed = self.grid.key
                self._box.scroll_home(animate=False)
            if laid_out:  # else there is as much more as there was
                self.call_after_refresh(self._tell_of_more)

    def _change(self, text: str) -> bool:
        """Whether the screen is laid out again: ages change at every refresh, the number of lines seldom.

        Where there is room the box grows with the longest text and stays so: lines that the cursor passes
        would else jump with each, and the screen be laid out for every key.
        """
        details = self._text
        width, height = details.size
        details.update(text, layout=False)
        details.clear_cached_dimensions()
        wanted = _height(text, width)
        if wanted is None:
            wanted = details.get_content_height(details.size, self.app.size, width)
        if self.app.size.height >= _ROOMY:
            self._tallest = max(self._tallest, min(wanted, _TALLEST[self.has_class("wide")]))
        if width and max(wanted, self._tallest) == height:
            return False
        details.styles.min_height = self._tallest or None
        details.refresh(layout=True)
        return True

    def on_resize(self, event: Resize) -> None:
        if event.size != self._room:
            self._room, self._tallest = event.size, 0
            self._text.styles.min_height = None
        self.call_after_refresh(self._tell_of_more)

    def _tell_of_more(self) -> None:
        """What has no room is read by the wheel, the keys for it, or in full."""
        if not self._is_whole:
            return
        more = None
        if self._box.max_scroll_y:
            more = hint(self, " {details.down} {details.up} or {grid.select}: more ")
        if more != self._box.border_title:  # setting it draws the box again, whatever it was
            self._box.border_title = more

    def action_details(self, step: int) -> None:
        """Scroll what stands beneath the lines by most of its height."""
        self._box.scroll_relative(y=step * max(1, self._box.size.height - 1), animate=False)

    def sort(self, place: int | None = None) -> None:
        """By the column at `place`; without one by the next. After the last the pane's own order is back."""
        data = self.reading.data
        if data is None:
            return
        columns = self.columns_of(data)
        before = self.sorted_by
        self.sorted_by = following(columns, before) if place is None else clicked(columns, before, place)
        self.draw()

    def on_grid_header_clicked(self, event: Grid.HeaderClicked) -> None:
        self.sort(event.place)

    @property
    def items(self) -> dict[str, T]:
        """What is drawn, by key."""
        if self._items is None:
            items = () if self._data is None else self.items_of(self._data)
            self._items = {self.key_of(item): item for item in items}
        return self._items

    @property
    def current(self) -> T | None:
        """What the cursor is on: mostly the item at its place, else looked for by key."""
        key, data = self.grid.key, self._data
        if key is None or data is None:
            return None
        items, place = self.items_of(data), self.grid.place
        if place < len(items) and self.key_of(items[place]) == key:
            return items[place]
        return self.items.get(key)

    def watch_needle(self) -> None:
        if self.is_mounted:
            self.draw()

    def watch_paused(self, paused: bool) -> None:
        if self.is_mounted:
            self.draw()
            if not paused:
                self.poll_on()

    def on_grid_highlighted(self) -> None:
        """The cursor first: what follows from where it is may take longer than a key should."""
        self.call_after_refresh(self._follow)

    def _follow(self) -> None:
        if not self._is_whole:
            return
        self.draw_details()
        self.post_message(self.Read(self))

    def export(self) -> str:
        """The current view as the headless document, indented."""
        data, taken_at = self.reading.data, self.reading.taken_at
        found = {
            "schema": f"dbdeck/{self.name_of_subject}/1",
            "taken_at": taken_at and (datetime.now(UTC) - (steady_now() - taken_at)).isoformat(),
            **(self.document(data) if data is not None else {"rows": []}),
        }
        return json.dumps(msgspec.to_builtins(found, str_keys=True, enc_hook=str), indent=2, default=str)


def _height(text: str, width: int) -> int | None:
    """Lines of a text of which none is wrapped; None where Textual has to be asked."""
    lines = text.split("\n")
    if width and any(len(line) > width or not is_narrow(line) for line in lines):
        return None
    return len(lines) if width else 0


def _gone(reading: Reading[Any]) -> float:
    """Seconds since a reading that went well; 0.0 for another. The screen was made meanwhile, which says
    nothing of how long the server takes.
    """
    if reading.problem is not None or reading.taken_at is None:
        return 0.0
    return (steady_now() - reading.taken_at).total_seconds()
