"""An App that writes only the characters that changed: a tenth of the bytes of Textual's own updates.

Textual writes every line of a refreshed region whole. Over SSH, a column of ages that changes every two
seconds then costs 14 kB a refresh. Written tightly it costs some hundred bytes, and none at all when a
widget was refreshed to the same content.
"""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.control import Control
from rich.segment import Segment
from textual import _compositor
from textual.app import App, ReturnType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Resize
from textual.geometry import Offset
from textual.screen import Screen

from console.tui import compositor, driver
from console.tui.driver import PatientDriver
from console.tui.shadow import Change, Shadow


def supported() -> bool:
    """Whether Textual's private parts still look as they did when this was written."""
    chops = getattr(_compositor, "ChopsUpdate", None)
    layout = getattr(_compositor, "LayoutUpdate", None)
    display = getattr(App, "_display", None)
    return (
        chops is not None
        and list(signature(chops).parameters) == ["chops", "spans", "chop_ends"]
        and layout is not None
        and list(signature(layout).parameters) == ["strips", "region"]
        and display is not None
        and list(signature(display).parameters) == ["self", "screen", "renderable"]
    )


_UPDATES = (_compositor.ChopsUpdate, _compositor.LayoutUpdate)


class TightApp(App[ReturnType]):
    """An app whose partial updates are tight; where they cannot be, Textual's own are used."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Look once whether this Textual is one we know."""
        super().__init__(*args, **options)
        self._shadow = Shadow() if supported() else None
        self._by_lines = compositor.supported()
        self._cursor_at: Offset | None = None

    def get_driver_class(self) -> type[Driver]:
        """Give Textual's own driver for a terminal more patience; another one is left alone."""
        found = super().get_driver_class()
        return PatientDriver if found is LinuxDriver and driver.supported() else found

    def _on_mount(self) -> None:
        # After a suspension the screen is blank, whatever we remember.
        self.app_resume_signal.subscribe(self, lambda _: self.repaint())

    async def _on_resize(self, event: Resize) -> None:  # noqa: ARG002 - beside Textual's own, not instead
        # A terminal may wrap or cut what it shows, even where its size is the same again by now.
        self._forget()

    def repaint(self) -> None:
        """Write the whole screen again, for when something else has written on it."""
        self._forget()
        self.refresh(layout=True)

    def _forget(self) -> None:
        self._cursor_at = None
        if self._shadow is not None:
            self._shadow.clear()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if self._by_lines:
            compositor.sharpen(screen)
        super()._display(screen, self._tightened(renderable))

    def _tightened(self, renderable: RenderableType | None) -> RenderableType | None:
        """Replace an update by what it changes, or by None when that is nothing."""
        if self._shadow is None or self.is_headless or renderable is None:
            return renderable
        if self.is_inline or not isinstance(renderable, _UPDATES):
            self._forget()
            return renderable
        try:
            if isinstance(renderable, _compositor.ChopsUpdate):
                change = self._shadow.compare(renderable, self.console)
            elif self._shadow.holds(renderable):
                change = self._shadow.compare_whole(renderable, self.console)
            else:
                return self._whole(renderable)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # Another Textual than we know. A console that writes too much is better than none.
            self._shadow = None
            return renderable
        # The terminal's own cursor is hidden, but input methods open their windows where it is.
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        if not change.text and cursor == self._cursor_at:
            return None
        return _Codes(change.text + str(Control.move_to(*cursor)), partial(self._written, change, cursor))

    def _whole(self, update: _compositor.LayoutUpdate) -> RenderableType:
        """All of it: we do not know what the terminal shows."""
        self._forget()
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        codes = update.render_segments(self.console) + str(Control.move_to(*cursor))
        return _Codes(codes, partial(self._kept, update, cursor))

    def _kept(self, update: _compositor.LayoutUpdate, cursor: Offset) -> None:
        if self._shadow is not None:
            self._shadow.keep(update)
        self._cursor_at = cursor

    def _written(self, change: Change, cursor: Offset) -> None:
        change.commit()
        self._cursor_at = cursor


class _Codes:
    """Finished terminal codes, which Rich passes on as they are."""

    def __init__(self, codes: str, written: partial[None]) -> None:
        self._codes = codes
        self._written = written

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        # Textual asks only for what it writes: an update that it drops is never remembered as shown.
        self._written()
        yield Segment(self._codes)
