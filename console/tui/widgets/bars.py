"""The one-line widgets around a pane: target bar, tabs, status, keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from rich.text import Text
from textual import events
from textual.message import Message

from console.tui.widgets.plain_text import PlainText


class Bar(PlainText):
    """A line of plain text: what a server says is never markup."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__("", id=id, markup=False)
        self._said = Text()

    def say(self, text: Text | str) -> None:
        """Draws only when something changed."""
        said = Text(text) if isinstance(text, str) else text
        if said != self._said:
            self._said = said
            self.update(said, layout=False)  # one line, whatever it says


class Note(Bar):
    """A sentence: where one line has no room for it, it gets more of them, and is read to its end."""

    DEFAULT_CSS = "Note { height: auto; max-height: 4; text-wrap: wrap; }"

    def say(self, text: Text | str) -> None:
        before = len(self._said)
        super().say(text)
        if max(before, len(self._said)) > (self.size.width or 80):
            self.clear_cached_dimensions()
            self.refresh(layout=True)


class TargetBar(Bar):
    """Left: environment, target, engine, TLS. Right: how fresh the data is."""

    DEFAULT_CSS = """
    TargetBar { background: $primary-background; color: $foreground; }
    TargetBar.prod { background: $error-muted; }
    TargetBar.staging { background: $warning-muted; }
    TargetBar.demo { background: $success-muted; }
    """

    _shown: tuple[str, str, bool, int] | None = None

    def show(self, left: str, right: str, *, stale: bool) -> None:
        width = self.size.width or 80
        if (left, right, stale, width) == self._shown:
            return
        self._shown = left, right, stale, width
        room = max(0, width - len(right) - 3)
        text = Text(f" {left[:room]:<{room}} ")
        text.append(f"{right} ", style="bold reverse" if stale else "")
        self.say(text)


class Tab(NamedTuple):
    """A pane. Panes with one key are views of one tab: the key leads from each to the next."""

    key: str
    name: str
    title: str


# How much of a tab's title is shown where there is no room for more.
_LETTERS = (99, 11, 10, 9, 8, 7, 6, 5)


class TabLine(Bar):
    """The panes there are; the key before a group opens it, and so does a click. A badge is drawn loudly."""

    DEFAULT_CSS = "TabLine { background: $panel; }"

    class Chosen(Message):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, tabs: Sequence[Tab], keys: Mapping[str, str] = MappingProxyType({})) -> None:
        """`keys` are shown for those of the tabs that are other ones now."""
        super().__init__(id="tabs")
        self._keys = keys
        self._tabs = tuple(tabs)
        self._chosen = ""
        self._badges: dict[str, str] = {}
        self._spans: list[tuple[int, int, str]] = []

    def choose(self, name: str) -> None:
        self._chosen = name
        self._draw()

    def badge(self, name: str, text: str) -> None:
        """A word behind a pane's title, seen from every other pane; empty takes it away."""
        self._badges[name] = text
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        """All views where there is room; else of other tabs only the first, and what calls for attention;
        then closer together, and at last other tabs in short.
        """
        room = self.size.width or 80
        some = [tab for tab in self._tabs if self._matters(tab)]
        few = [tab for tab in some if self._must(tab)]
        whole = ((self._tabs, " ", 99), (some, " ", 99), (some, "", 99))
        for tabs, gap, letters in (*whole, *((few, "", letters) for letters in _LETTERS)):
            text, self._spans = self._drawn(tabs, gap, letters)
            if len(text) <= room:
                break
        self.say(text)

    def _must(self, tab: Tab) -> bool:
        first = next(one for one in self._tabs if one.key == tab.key)
        return tab is first or tab.name == self._chosen or bool(self._badges.get(tab.name))

    def _matters(self, tab: Tab) -> bool:
        here = next((one.key for one in self._tabs if one.name == self._chosen), "")
        first = next(one for one in self._tabs if one.key == tab.key)
        return tab is first or tab.key == here or bool(self._badges.get(tab.name))

    def _drawn(self, tabs: Sequence[Tab], gap: str, letters: int) -> tuple[Text, list[tuple[int, int, str]]]:
        """The line, and where in it each view begins and ends."""
        text, spans, before = Text(" "), [], ""
        # Without colours red becomes a grey, which of 16 is the one that it stands on.
        loud = "bold" if self.app.no_color else "bold red"
        for tab in tabs:
            start = len(text)
            title = tab.title if tab.name == self._chosen else tab.title[:letters]
            label = title if tab.key == before else f"{self._keys.get(tab.key, tab.key)} {title}"
            text.append(f" {label}{gap}", style="bold reverse" if tab.name == self._chosen else "")
            if badge := self._badges.get(tab.name):
                text.append(f"{badge}{gap}", style=loud)
            spans.append((start, len(text), tab.name))
            before = tab.key
        return text, spans

    def on_click(self, event: events.Click) -> None:
        for start, stop, name in self._spans:
            if start <= event.x < stop:
                self.post_message(self.Chosen(name))


class Status(Note):
    """What was done, what is wrong, why a key does nothing."""

    DEFAULT_CSS = """
    Status { background: $surface; min-height: 1; max-height: 3; }
    Status.bad { background: $error-muted; color: $foreground; }
    """

    told = ""

    def tell(self, text: str, *, bad: bool = False) -> None:
        """Trouble has a mark, too, for whoever sees no colours."""
        self.told = text
        self.set_class(bad, "bad")
        self.say(f"!{text}" if bad else text)


class Key(NamedTuple):
    """`why` says what stands against it; empty when it can be pressed. Where the line is too short the label
    is `short`, and keys of the highest `rank` are left out first; rank 0 never is.
    """

    key: str
    action: str
    label: str
    why: str = ""
    short: str = ""
    rank: int = 1

    @property
    def brief(self) -> Key:
        return self._replace(label=self.short or self.label)


def fit_keys(keys: Sequence[Key], width: int) -> list[Key]:
    """What has room in `width` cells: whole, else in short words, else the most useful ones."""
    kept = list(keys)
    if _length(kept) > width:
        kept = [key.brief for key in kept]
    while _length(kept) > width and (droppable := [key for key in kept if key.rank]):
        worst = max(key.rank for key in droppable)
        kept.remove(next(key for key in reversed(droppable) if key.rank == worst))
    return kept


def _length(keys: Sequence[Key]) -> int:
    """With the space before the line and two between keys."""
    return 1 + sum(len(key.key) + 1 + len(key.label) for key in keys) + 2 * max(0, len(keys) - 1)


class KeyLine(Bar):
    """The keys of the pane; those that can do nothing now are struck through, and say why when pressed."""

    DEFAULT_CSS = "KeyLine { background: $panel; dock: bottom; }"

    class Pressed(Message):
        """A key was clicked; `action` is what the key would do in the pane."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._keys: Sequence[Key] = ()
        self._spans: list[tuple[int, int, str]] = []

    def show(self, keys: Sequence[Key]) -> None:
        self._keys = keys
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        text = Text(" ")
        self._spans = []
        for key in fit_keys(self._keys, self.size.width or 80):
            start = len(text)
            text.append(key.key, style="bold dim" if key.why else "bold")
            text.append(f" {key.label}", style="dim strike" if key.why else "")
            self._spans.append((start, len(text), key.action))
            text.append("  ")
        text.right_crop(2)  # else the line would be cut off for two blanks that nobody sees
        self.say(text)

    def on_click(self, event: events.Click) -> None:
        for start, stop, action in self._spans:
            if start <= event.x < stop:
                self.post_message(self.Pressed(action))
