"""What the terminal shows, remembered, so that an update can be reduced to its differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip

from console.present.units import is_narrow

_BLOCK: Final = 8  # cells compared at once: moving over so few costs as much as writing them again
_NO_FRONT: Final = "39"
_NO_BACK: Final = "49"
# Which code ends an attribute; one code may end two.
_OFF: Final = {
    "1": "22",
    "2": "22",
    "3": "23",
    "4": "24",
    "5": "25",
    "6": "25",
    "7": "27",
    "8": "28",
    "9": "29",
} | {
    "21": "24",
    "51": "54",
    "52": "54",
    "53": "55",
}


class Update(Protocol):
    """What we need of Textual's ChopsUpdate: pieces of lines by line and column, and the spans to draw."""

    chops: Sequence[Mapping[int, Strip | None]]
    spans: list[tuple[int, int, int]]
    chop_ends: list[list[int]]


class Whole(Protocol):
    """What we need of Textual's LayoutUpdate: the strips of each line of a region, side by side."""

    strips: list[Iterable[Strip]]
    region: Region


class Ink(NamedTuple):
    """A style as SGR codes, in parts, so that only the part that changes is sent."""

    attributes: str = ""
    front: str = _NO_FRONT
    back: str = _NO_BACK


_PLAIN: Final = Ink()


class Row(NamedTuple):
    """How a piece of a line looks: its text, and which ink holds up to which index."""

    width: int
    text: str
    ends: tuple[int, ...]
    inks: tuple[Ink, ...]


Line = dict[int, Row]
Piece = tuple[int, int, int, Strip]  # line, first column, column after the last, content


@lru_cache(4096)
def ink_of(style: Style, colors: ColorSystem) -> Ink:
    """Translate a style for a terminal with so many colours."""
    return Ink(
        Strip.render_ansi(style.without_color, colors),
        ";".join(style.color.downgrade(colors).get_ansi_codes()) if style.color else _NO_FRONT,
        ";".join(style.bgcolor.downgrade(colors).get_ansi_codes(foreground=False))
        if style.bgcolor
        else _NO_BACK,
    )


class Change(NamedTuple):
    """The codes that bring the terminal up to date, and what it shows once they are written."""

    text: str
    shadow: Shadow
    lines: dict[int, Line]

    def commit(self) -> None:
        """Remember that the codes were written."""
        self.shadow.remember(self.lines)


class Shadow:
    """The terminal's content as far as our own updates put it there; what we do not know is written whole."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lines: dict[int, Line] = {}
        self._kept: dict[int, list[Strip]] = {}  # lines that nobody compared yet, as Textual wrote them
        self._size: Size | None = None  # of the screen that was kept

    def clear(self) -> None:
        """Forget everything: somebody else wrote on the terminal."""
        self._lines.clear()
        self._kept.clear()
        self._size = None

    def remember(self, lines: Mapping[int, Line]) -> None:
        """Take over what these lines show now."""
        self._lines.update(lines)
        for y in lines:
            self._kept.pop(y, None)

    def keep(self, update: Whole) -> None:
        """Take over a whole screen that Textual wrote; a line is looked into when it changes."""
        self.clear()
        self._kept = {y: list(strips) for y, strips in enumerate(update.strips, update.region.y)}
        self._size = update.region.size

    def holds(self, update: Whole) -> bool:
        """Whether a whole screen of this size is what the terminal shows, so that differences are enough."""
        return self._size == update.region.size

    def compare(self, update: Update, console: Console) -> Change:
        """Find what an update changes on the terminal."""
        return self._change(_pieces(update), console)

    def compare_whole(self, update: Whole, console: Console) -> Change:
        """Find what a whole screen changes on the terminal."""
        strips = enumerate(update.strips, update.region.y)
        return self._change(
            (piece for y, line in strips for piece in _beside(y, update.region.x, line)), console
        )

    def _known(self, y: int, pen: Pen) -> Line:
        """What a line shows; nothing where that is more than narrow text in colours."""
        line: Line = {}
        for _, x, end, strip in _beside(y, 0, self._kept.get(y, ())):
            row = pen.row(strip, end - x)
            if row is None or not is_narrow(row.text):
                return {}
            line[x] = row
        return line or dict(self._lines.get(y, {}))

    def _change(self, pieces: Iterable[Piece], console: Console) -> Change:
        pen = Pen(COLOR_SYSTEMS[console.color_system] if console.color_system else ColorSystem.TRUECOLOR)
        lines: dict[int, Line] = {}
        for y, x, end, strip in pieces:
            if y not in lines:
                lines[y] = self._known(y, pen)
            line = lines[y]
            row = pen.row(strip, end - x)
            if row is None:
                line.clear()
                pen.raw(y, x, strip.render(console))
            elif row != line.get(x):
                _draw(pen, line, (y, x), row)
        return Change(pen.finish(), self, lines)


def _beside(y: int, x: int, strips: Iterable[Strip]) -> Iterator[Piece]:
    for strip in strips:
        end = x + strip.cell_length
        yield y, x, end, strip
        x = end


def _pieces(update: Update) -> Iterator[Piece]:
    """Yield the pieces of lines that the update touches.

    A piece that is touched is rendered as a whole, so the spans need not cut it.
    """
    for y, first, last in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
            if strip is not None and x < last and end > first:
                yield y, x, end, strip


def _draw(pen: Pen, line: Line, place: tuple[int, int], row: Row) -> None:
    """Bring one piece of a line up to date, on the terminal and in what we remember of the line."""
    y, x = place
    before = line.get(x)
    if not is_narrow(row.text):
        # It may have taken more cells than we think, and damaged its neighbours.
        line.clear()
        pen.whole(y, x, row)
        pen.lose()
    elif before and before.width == row.width and is_narrow(before.text):
        for start, text, ink in differences(before, row):
            pen.put(y, x + start, text, ink)
    else:
        for other in [at for at, old in line.items() if at < x + row.width and at + old.width > x]:
            del line[other]
        pen.whole(y, x, row)
    line[x] = row


def differences(before: Row, now: Row) -> Iterator[tuple[int, str, Ink]]:
    """Yield start, text and ink of every stretch in which two equally wide rows differ."""
    here = old = new = 0
    while here < len(now.text):
        end = min(before.ends[old], now.ends[new])
        ink, text = now.inks[new], now.text[here:end]
        if before.inks[old] != ink:
            yield here, text, ink
        else:
            for start, stop in _stretches(before.text[here:end], text):
                yield here + start, text[start:stop], ink
        old += before.ends[old] == end
        new += now.ends[new] == end
        here = end


def _stretches(before: str, now: str) -> Iterator[tuple[int, int]]:
    """Yield the parts in which two equally long texts differ."""
    start = stop = 0
    for at in range(0, len(now), _BLOCK):
        if before[at : at + _BLOCK] == now[at : at + _BLOCK]:
            continue
        if at > stop:
            if stop:
                yield _trimmed(before, now, start, stop)
            start = at
        stop = at + _BLOCK
    if stop:
        yield _trimmed(before, now, start, min(stop, len(now)))


def _trimmed(before: str, now: str, start: int, stop: int) -> tuple[int, int]:
    while before[start] == now[start]:
        start += 1
    while before[stop - 1] == now[stop - 1]:
        stop -= 1
    return start, stop


class Pen:
    """Writes codes, and leaves out the moves and colours the terminal has already."""

    def __init__(self, colors: ColorSystem) -> None:
        """Start at an unknown place, without colour: every update ends with a reset."""
        self._colors = colors
        self._codes: list[str] = []
        self._at: tuple[int, int] | None = None
        self._ink = _PLAIN

    def row(self, strip: Strip, width: int) -> Row | None:
        """See how a strip will look; None when it is more than text in colours."""
        texts, ends, inks = [], [], []
        end = 0
        for text, style, control in strip:
            if control or (style is not None and style.link):
                return None
            if text:
                end += len(text)
                texts.append(text)
                ends.append(end)
                inks.append(ink_of(style, self._colors) if style else _PLAIN)
        return Row(width, "".join(texts), tuple(ends), tuple(inks)) if strip.cell_length == width else None

    def whole(self, y: int, x: int, row: Row) -> None:
        """Write all of a row."""
        start = 0
        for end, ink in zip(row.ends, row.inks, strict=True):
            self.put(y, x + start, row.text[start:end], ink)
            start = end

    def put(self, y: int, x: int, text: str, ink: Ink) -> None:
        """Write text at a place."""
        self._move(y, x)
        self._color(ink)
        self._codes.append(text)
        self._at = (y, x + len(text))

    def raw(self, y: int, x: int, codes: str) -> None:
        """Write codes we do not look into."""
        self._color(_PLAIN)
        self._codes.append(f"\x1b[{y + 1};{x + 1}H{codes}")
        self.lose()

    def lose(self) -> None:
        """Do not rely on where the terminal's cursor is now."""
        self._at = None

    def finish(self) -> str:
        """Give all codes, colour switched off."""
        self._color(_PLAIN)
        return "".join(self._codes)

    def _move(self, y: int, x: int) -> None:
        if self._at == (y, x):
            return
        if self._at and self._at[0] == y and x > self._at[1]:
            self._codes.append(f"\x1b[{x - self._at[1]}C")
        else:
            self._codes.append(f"\x1b[{y + 1};{x + 1}H")

    def _color(self, ink: Ink) -> None:
        if ink != self._ink:
            codes = ["0"] if ink == _PLAIN else _turns(self._ink, ink)
            self._codes.append(f"\x1b[{';'.join(codes)}m")
            self._ink = ink


def _turns(held: Ink, ink: Ink) -> list[str]:
    """Find the codes from one ink to another."""
    codes = [now for now, before in zip(ink[1:], held[1:], strict=True) if now != before]
    if ink.attributes == held.attributes:
        return codes
    ended = [_OFF[code] for code in held.attributes.split(";") if code]
    return [*ended, *filter(None, [ink.attributes]), *codes]
