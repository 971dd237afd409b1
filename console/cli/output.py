"""The only place of the CLI that writes: stdout is data, stderr is for people."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from console.errors import DbdeckError
from console.model.one_line import one_line
from console.present.plain import Plain, codec_of
from console.present.table import Column, Line, Tone, narrowest
from console.present.units import cell_width, clean, clip, harmless, pad

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    Tone.NORMAL: "",
    Tone.MUTED: "dim",
    Tone.GOOD: "green",
    Tone.NOTICE: "cyan",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
}
_GROW_AT_LEAST = 20


def document(value: Any) -> None:
    """One JSON document."""
    sys.stdout.write(encoded(value) + "\n")
    sys.stdout.flush()


def encoded(value: Any) -> str:
    """As JSON. Text of a server goes through JSON's own escapes, so it is safe as it is."""
    try:
        return one_line(msgspec.json.encode(value, enc_hook=str).decode())
    except UnicodeEncodeError:  # half a character, of bytes that were in no known encoding
        return json.dumps(msgspec.to_builtins(value, enc_hook=str), separators=(",", ":"))


def csv_rows(fields: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Nested values become JSON in their cell; controls are escaped as in the document. Without rows the
    header tells a program that there was an answer.
    """
    writer = csv.writer(sys.stdout)
    writer.writerow(fields)
    writer.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return encoded(value)


def table(columns: Sequence[Column], lines: Sequence[Line]) -> None:
    """Aligned columns in the width of the terminal or of $COLUMNS; in a pipe without it nothing is cut.

    Where the width is short, the columns with the highest `drop` are left out.
    """
    lines = [_harmless(line) for line in lines]
    console = _console()
    width = console.width if console.is_terminal or os.environ.get("COLUMNS") else 0
    kept = _kept(columns, width)
    widths = _widths(columns, kept, lines, width)
    _print(console, [column.title for column in columns], columns, widths, "bold")
    for line in lines:
        _print(console, line.cells, columns, widths, _STYLES[line.tone])


def _harmless(line: Line) -> Line:
    """Whoever's words are in its cells. Most are clean already."""
    cells = tuple(cell if cell.isascii() and cell.isprintable() else clean(cell) for cell in line.cells)
    return line if cells == line.cells else msgspec.structs.replace(line, cells=cells)


def _kept(columns: Sequence[Column], width: int) -> list[int]:
    kept = list(range(len(columns)))
    while width and sum(narrowest(columns[i]) + 2 for i in kept) > width:
        last = max(kept, key=lambda i: columns[i].drop)
        if not columns[last].drop:
            break
        kept.remove(last)
    return kept


def _widths(
    columns: Sequence[Column], kept: Sequence[int], lines: Sequence[Line], width: int
) -> dict[int, int]:
    """Widths of the kept columns by their places."""
    found = {i: max([len(columns[i].title), *(cell_width(line.cells[i]) for line in lines)]) for i in kept}
    if not width:
        return found
    room = width - 2 * (len(kept) - 1)
    still = [i for i in kept if not columns[i].grow]
    for i in still:
        found[i] = found[i] if columns[i].whole else min(found[i], columns[i].width)
    for i in still:
        over = sum(found[one] for one in still) + _GROW_AT_LEAST - room
        found[i] -= max(0, min(over, found[i] - narrowest(columns[i])))
    least = max((columns[i].least or _GROW_AT_LEAST for i in kept if columns[i].grow), default=0)
    rest = max(room - sum(found[i] for i in still), least)
    return {i: min(w, rest) if columns[i].grow else w for i, w in found.items()}


def _print(
    console: Console,
    cells: Sequence[str],
    columns: Sequence[Column],
    widths: Mapping[int, int],
    style: str,
) -> None:
    from rich.text import Text

    padded = [pad(clip(cells[i], w), w, columns[i].align) for i, w in widths.items()]
    console.print(Text(_shown("  ".join(padded).rstrip()), style=_ink(style)), soft_wrap=True)


def _shown(text: str) -> str:
    """For people only: a locale that is not of UTF-8 gets characters that it has."""
    if text.isascii():
        return text
    codec = codec_of(os.environ, getattr(sys.stdout, "encoding", None) or "utf-8")
    return text if codec is None else text.translate(Plain(codec))


def _ink(style: str) -> str:
    """NO_COLOR asks for no decoration at all, bold included (no-color.org)."""
    return "" if os.environ.get("NO_COLOR") else style


def line(text: str, tone: Tone = Tone.NORMAL) -> None:
    """One line of data for people who read stdout, harmless as in `note`. Where it goes to no terminal, Rich
    is not loaded.
    """
    text = _shown(harmless(text))
    if _is_plain():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        return
    from rich.text import Text

    _console().print(Text(text, style=_ink(_STYLES[tone])), soft_wrap=True)


def _is_plain() -> bool:
    """As Rich decides it: these two ask for colours in a pipe as well."""
    asked = os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE") == "1"
    return not sys.stdout.isatty() and not asked


def note(text: str) -> None:
    """Whoever's words are in it: it moves no cursor and colours nothing. Its line ends are its own."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{_shown(harmless(text))}\n")


def prompt(text: str) -> str:
    """What somebody types in answer, at a terminal; the line itself is data of nobody."""
    sys.stderr.write(_shown(harmless(text)))
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def lost(error: OSError) -> None:
    """What was to be said on stdout cannot be: a reader that left is no trouble, a full disk is told."""
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if error.errno != errno.EPIPE:
        note(f"dbdeck: stdout cannot be written: {error.strerror}")


def complaint(error: DbdeckError) -> None:
    note(f"dbdeck: {clean(error.message)}")
    if error.hint:
        note(f"  hint: {clean(error.hint)}")


def _console() -> Console:
    from rich.console import Console

    class Plain(Console):
        """Rich would end the process with exit code 1; here the caller decides."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return Plain(file=sys.stdout, highlight=False, markup=False, emoji=False)
