"""The only place of the CLI that writes: stdout is data, stderr is for people."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from console.errors import DbdeckError
from console.present.table import Column, Line, Tone
from console.present.units import clean, pad

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
    """One JSON document. Text of a server goes through JSON's own escapes, so it is safe as it is."""
    encoded = msgspec.json.encode(value, enc_hook=str)
    sys.stdout.write(_ascii_controls(encoded.decode()) + "\n")
    sys.stdout.flush()


def _ascii_controls(text: str) -> str:
    """JSON leaves DEL and the C1 controls as they are, and a terminal obeys them."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def csv_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Nested values become JSON in their cell; controls are escaped as in the document."""
    if not rows:
        return
    writer = csv.writer(sys.stdout)
    writer.writerow(rows[0].keys())
    writer.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    return msgspec.json.encode(value, enc_hook=str).decode()


def table(columns: Sequence[Column], lines: Sequence[Line]) -> None:
    """Aligned columns; the growing one takes what is left of the width, or nothing is cut in a pipe."""
    console = _console()
    widths = _widths(columns, lines, console.width if console.is_terminal else 0)
    _print(console, [column.title for column in columns], columns, widths, "bold")
    for line in lines:
        _print(console, line.cells, columns, widths, _STYLES[line.tone])


def _widths(columns: Sequence[Column], lines: Sequence[Line], width: int) -> list[int]:
    from console.present.units import cell_width

    found = [
        max([len(column.title), *(cell_width(line.cells[i]) for line in lines)])
        for i, column in enumerate(columns)
    ]
    for i, column in enumerate(columns):
        if width and not column.grow:
            found[i] = min(found[i], column.width)
    if width:
        fixed = sum(w for w, column in zip(found, columns, strict=True) if not column.grow)
        rest = max(width - fixed - 2 * (len(columns) - 1), _GROW_AT_LEAST)
        found = [min(w, rest) if column.grow else w for w, column in zip(found, columns, strict=True)]
    return found


def _print(
    console: Console,
    cells: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    style: str,
) -> None:
    from rich.text import Text

    padded = [pad(cell, w, column.align) for cell, w, column in zip(cells, widths, columns, strict=True)]
    console.print(Text("  ".join(padded).rstrip(), style=style), soft_wrap=True)


def line(text: str, tone: Tone = Tone.NORMAL) -> None:
    """One line of data for people who read stdout."""
    from rich.text import Text

    _console().print(Text(text, style=_STYLES[tone]), soft_wrap=True)


def note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def complaint(error: DbdeckError) -> None:
    note(f"dbdeck: {clean(error.message)}")
    if error.hint:
        note(f"  hint: {clean(error.hint)}")


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
