"""One line of a run's map, drawn: Markdown of the document, what was done, and tables of what was seen."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from console.present import evidence
from console.present.evidence import Evidence
from console.present.run_page import Page
from console.present.table import Tone
from console.tui.screens.confirm import STYLES, drawn
from console.tui.widgets.columns import fit, runs, titles

_ROWS = 8


class RunPage(VerticalScroll):
    DEFAULT_CSS = """
    RunPage { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; border-left: solid $panel; }
    RunPage:focus { border-left: solid $primary; }
    RunPage Static { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__(id="run-page")
        self._shown: tuple[Page, int] | None = None
        self._key = ""

    def compose(self):  # type: ignore[no-untyped-def]
        yield Static("", markup=False)

    def show(self, page: Page, key: str) -> None:
        """Draws only what changed; another line begins at its top."""
        width = max(20, self.size.width - 3)
        if self._shown != (page, width):
            self._shown = (page, width)
            self.query_one(Static).update(_drawn(page, width))
        if key != self._key:
            self._key = key
            self.scroll_home(animate=False)


def _drawn(page: Page, width: int) -> Group:
    from rich.markdown import Markdown

    parts: list[RenderableType] = [drawn(page.head)]
    parts += [Markdown(text, hyperlinks=False) for text in page.texts]
    if page.said:
        parts.append(drawn(page.said))
    for one in page.tables:
        parts.append(_table(one, width))
    return Group(*parts)


def _table(one: Evidence, width: int) -> Text:
    columns, lines = evidence.table(one)
    text = Text(f"\n{evidence.heading(one)}\n", style=STYLES[Tone.NOTICE])
    if not lines:
        return text
    slots = fit(columns, width)
    text.append(titles(slots, 0) + "\n", style="underline")
    for line in lines[:_ROWS]:
        text.append("".join(run.text for run in runs(line, slots, 0)).rstrip() + "\n")
    left = len(columns) - len(slots)
    if len(lines) > _ROWS or left:
        rows = f"{len(lines) - _ROWS} more rows" if len(lines) > _ROWS else ""
        more = " and ".join(filter(None, (rows, f"{left} more columns" if left else "")))
        text.append(f"v: {more}\n", style=STYLES[Tone.MUTED])
    return text
