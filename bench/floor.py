"""The floor: as little as a list of sessions can be in Textual. `python bench/floor.py HOST PORT USER`.

It polls pg_stat_activity every 2 s and lists ten columns of all, on the line API with cached strips, and
writes only the characters that changed. Three lines around it, one colour a line: a screen costs more.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncpg
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, ComposeResult
from textual.events import Key
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

QUERY = """
select pid, datname, usename, application_name, host(client_addr), state, wait_event_type, wait_event,
       extract(epoch from now() - query_start)::float8, left(query, 400)
  from pg_stat_activity where backend_type = 'client backend' order by query_start nulls last, pid limit 500
"""
TITLES = (
    "pid",
    "database",
    "user",
    "application",
    "client",
    "state",
    "wait type",
    "wait event",
    "secs",
    "query",
)
WIDTHS = (7, 10, 11, 14, 11, 12, 10, 14, 9, 50)
NORMAL, MARKED, WAITS = (
    Style.parse("white on black"),
    Style.parse("black on cyan"),
    Style.parse("bold red on black"),
)
Cells = tuple[str, ...]


def cells(row: Any) -> Cells:
    *words, seconds, query = row
    whole = int(seconds or 0)
    age = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return (*("" if word is None else str(word) for word in words), age, " ".join(query[:200].split())[:120])


class Table(ScrollView, can_focus=True):
    marked = 0

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Cells] = []
        self.strips: dict[int, Strip] = {}

    def show(self, rows: list[Cells]) -> None:
        old, self.rows = self.rows, rows
        width, top, height = self.size.width, int(self.scroll_y), self.size.height
        if len(old) != len(rows):
            self.virtual_size = Size(width, len(rows))
        if not old:
            self.strips.clear()
            self.refresh()
            return
        shown = range(top, min(top + height, max(len(old), len(rows))))
        changed = [i for i in shown if i >= len(old) or i >= len(rows) or old[i] != rows[i]]
        self.strips = {i: strip for i, strip in self.strips.items() if i in shown and i not in changed}
        self._again(changed)

    def _again(self, lines: list[int]) -> None:
        top, height = int(self.scroll_y), self.size.height
        regions = [Region(0, i - top, self.size.width, 1) for i in lines if top <= i < top + height]
        if regions:
            self.refresh(*regions)

    def line(self, at: int, width: int) -> Strip:
        strip = self.strips.get(at)
        if strip is None or strip.cell_length != width:
            if at >= len(self.rows):
                return Strip([Segment(" " * width, NORMAL)], width)
            row = self.rows[at]
            text = "".join([cell[: w - 1].ljust(w) for cell, w in zip(row, WIDTHS, strict=True)])[
                :width
            ].ljust(width)
            style = MARKED if at == self.marked else WAITS if row[6] == "Lock" else NORMAL
            strip = self.strips[at] = Strip([Segment(text, style)], width)
        return strip

    def render_lines(self, crop: Region) -> list[Strip]:
        width, top = self.size.width, int(self.scroll_y)
        lines = [self.line(y + top, width) for y in range(crop.y, crop.bottom)]
        return lines if crop.x == 0 and crop.right >= width else [s.crop(crop.x, crop.right) for s in lines]

    def on_key(self, event: Key) -> None:
        step = {"down": 1, "up": -1}.get(event.key)
        if step is None or not self.rows:
            return
        event.stop()
        old, self.marked = self.marked, max(0, min(len(self.rows) - 1, self.marked + step))
        for one in (old, self.marked):
            self.strips.pop(one, None)
        self.scroll_to_region(Region(0, self.marked, 1, 1), animate=False)
        self._again([old, self.marked])


class Floor(App[None]):
    CSS = "Static { height: 1; background: $primary; } Table { height: 1fr; overflow-x: hidden; }"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, host: str, port: int, user: str) -> None:
        super().__init__()
        self._where: dict[str, Any] = {"host": host, "port": port, "user": user, "database": "postgres"}
        self._shown: dict[tuple[int, int], list[Segment]] = {}
        self.heading, self.table = Static("connecting"), Table()

    def compose(self) -> ComposeResult:
        yield self.heading
        yield Static("".join(title.ljust(w) for title, w in zip(TITLES, WIDTHS, strict=True)))
        yield self.table
        yield Static("q quit")

    def on_mount(self) -> None:
        self.table.focus()
        self.run_worker(self._poll())

    async def _poll(self) -> None:
        connection, said = await asyncpg.connect(**self._where), ""
        while True:
            rows = [cells(row) for row in await connection.fetch(QUERY)]
            if said != (said := f"{len(rows)} sessions floor"):
                self.heading.update(said)
            self.table.show(rows)
            await asyncio.sleep(2)

    def key_q(self) -> None:
        self.exit()

    def _display(self, screen: Any, renderable: Any) -> None:
        if isinstance(renderable, ChopsUpdate):
            update = renderable
            update.render_segments = lambda console: self._changed(update, console)  # type: ignore[method-assign]
        elif isinstance(renderable, LayoutUpdate):
            self._shown.clear()
        super()._display(screen, renderable)

    def _changed(self, update: Any, console: Console) -> str:
        out = []
        for y, first, last in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
                if strip is None or x > last or end <= first:
                    continue
                old, new = self._shown.get((y, x)), list(strip)
                self._shown[y, x] = new
                if old != new:
                    out.append(_difference(y, x, old, new, strip, console))
        return "".join(out)


def _difference(
    y: int, x: int, old: list[Segment] | None, new: list[Segment], strip: Strip, console: Console
) -> str:
    """From the first to the last character that differ, where a line has one style."""
    alike = old is not None and len(old) == 1 == len(new) and old[0].style == new[0].style
    if not alike or old is None or len(old[0].text) != len(new[0].text) or not new[0].text.isascii():
        return f"\x1b[{y + 1};{x + 1}H{strip.render(console)}"
    was, now = old[0].text, new[0].text
    start = next(i for i in range(len(now)) if was[i] != now[i])
    stop = next(i for i in range(len(now), 0, -1) if was[i - 1] != now[i - 1])
    part = Strip([Segment(now[start:stop], new[0].style)])
    return f"\x1b[{y + 1};{x + start + 1}H{part.render(console)}"


if __name__ == "__main__":
    Floor(sys.argv[1], int(sys.argv[2]), sys.argv[3]).run()
