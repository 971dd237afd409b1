"""Text that is drawn as it stands, where all of it has room.

Textual wraps, formats and styles whatever a Static holds, and keeps and compares each line once more: a
millisecond or two a widget and refresh, most of it for text that is neither wrapped nor cut.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual
from textual.widget import Widget
from textual.widgets import Static

from console.present.units import is_narrow


class PlainText(Static):
    """A Static that is drawn at once where no line of its text is longer than it is wide; else by Textual."""

    _plainly: tuple[Visual, Size, Style, list[Strip] | None] | None = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Skip wrapping and the styles cache where they would change nothing."""
        strips = self._strips() if self.text_selection is None and is_plain(self) else None
        if strips is None:
            return super().render_lines(crop)
        lines = strips[crop.y : crop.bottom]
        if crop.x == 0 and crop.right >= self.size.width:
            return lines
        return [strip.crop(crop.x, crop.right) for strip in lines]

    def notify_style_update(self) -> None:
        """Forget what was drawn in another theme."""
        super().notify_style_update()
        self._plainly = None

    def _strips(self) -> list[Strip] | None:
        """All lines of the widget, or None where Textual has to lay out the text."""
        visual, size, style = self.visual, self.size, self.visual_style
        if self._plainly is not None:
            of, wide, styled, strips = self._plainly
            if of is visual and wide == size and styled is style:
                return strips
        strips = self._draw_plainly(visual, size, style) if isinstance(visual, Content) else None
        self._plainly = visual, size, style, strips
        return strips

    def _draw_plainly(self, text: Content, size: Size, style: Style) -> list[Strip] | None:
        texts = text.plain.split("\n")
        if any(len(line) > size.width or not is_narrow(line) for line in texts):
            return None
        if len(texts) > 1 and text.spans:
            return None
        base, background = self.background_colors
        blank = Style(background=base + background).rich_style
        lines = [text] if len(texts) == 1 else [Content(line) for line in texts]
        lines += [Content("")] * (size.height - len(lines))
        strips = [
            Strip(self._segments(line, y, style), len(line.plain)).adjust_cell_length(size.width, blank)
            for y, line in enumerate(lines[: size.height])
        ]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        return strips

    def _segments(self, line: Content, y: int, style: Style) -> list[Segment]:
        """With the places by which Textual finds what the mouse marks."""
        found, x = [], 0
        for text, ink in line.render(style, end="", parse_style=self._get_style):
            if text:
                found.append(Segment(text, (style + ink).rich_style_with_offset(x, y)))
            x += len(text)
        return found


def is_plain(widget: Widget) -> bool:
    """Whether nothing (border, tint, fading) is to be drawn over or around a widget's lines."""
    styles = widget.styles
    around = styles.gutter or styles.outline or styles.has_rule("hatch")
    return not around and not styles.tint.a and styles.text_opacity == 1.0 and widget.opacity == 1.0
