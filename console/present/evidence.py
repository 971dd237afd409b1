"""What steps saved, as tables: the fields people look for first, and what is unknown or cut off said so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from console.present.table import Column, Line
from console.present.units import age, cell_width, clean, size
from console.runbook.document import Capture, Query, Step, WaitUntil

_WIDEST: Final = 30
_MEASURED: Final = 100
# Of each read the fields that tell most, in this order; the others follow.
_FIRST: Final[Mapping[str, tuple[str, ...]]] = {
    "locks": ("session", "root", "blocks", "wait_seconds", "state", "object", "user", "application", "query"),
    "sessions": ("session", "state", "transaction_seconds", "wait", "user", "application", "query"),
    "transactions": ("session", "transaction_seconds", "state", "state_seconds", "blocks", "user", "query"),
    "horizon": ("kind", "name", "age", "seconds", "user", "remedy", "query"),
    "tables": ("table", "total_bytes", "dead", "rows", "xid_age"),
    "health": ("replica", "lag_seconds", "lag_bytes", "disk", "disk_free", "disk_used"),
    "slots": ("name", "kind", "wal_status", "retained_bytes", "inactive_since"),
}
_LAST: Final = ("query", "statements")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One table. `note` says what is not in it; `read` is the read it came from, where there was one."""

    name: str
    rows: tuple[dict[str, Any], ...]
    read: str = ""
    note: str = ""


def evidence(step: Step, value: Any) -> list[Evidence]:
    """The tables of what a step saved; none of what is no table."""
    if isinstance(step, Capture) and isinstance(value, dict):
        return [_of(f"{step.save}.{name}", name, one) for name, one in value.items() if isinstance(one, dict)]
    if isinstance(step, Query | WaitUntil) and isinstance(value, dict) and "rows" in value:
        return [_of(step.save or step.id, step.read or "", value)]
    return []


def _of(name: str, read: str, answer: Mapping[str, Any]) -> Evidence:
    rows = tuple(row for row in answer.get("rows", ()) if isinstance(row, dict))
    if problem := answer.get("problem"):
        return Evidence(name=name, rows=rows, read=read, note=f"not known: {clean(str(problem), 300)}")
    return Evidence(
        name=name, rows=rows, read=read, note="and there were more" if answer.get("truncated") else ""
    )


def heading(one: Evidence) -> str:
    said = f"{one.name}: {len(one.rows)} rows"
    return f"{said}, {one.note}" if one.note else said


def fields(one: Evidence) -> list[str]:
    """Every field that a row has, what tells most first, texts of statements last."""
    found = dict.fromkeys(name for row in one.rows for name in row)
    first = [name for name in _FIRST.get(one.read, ()) if name in found and name not in _LAST]
    rest = [name for name in found if name not in first and name not in _LAST]
    return [*first, *rest, *(name for name in _LAST if name in found)]


def table(one: Evidence) -> tuple[tuple[Column, ...], list[Line]]:
    """Columns as wide as what is in them; those at the right go first where there is no room."""
    names = fields(one)
    cells = [tuple(_cell(name, row.get(name)) for name in names) for row in one.rows]
    columns = tuple(
        _column(place, name, [row[place] for row in cells[:_MEASURED]], len(names))
        for place, name in enumerate(names)
    )
    return columns, [Line(key=str(place), cells=row) for place, row in enumerate(cells)]


def _column(place: int, name: str, cells: Sequence[str], many: int) -> Column:
    title = _title(name)
    wide = min(_WIDEST, max([len(title), *map(cell_width, cells)]))
    return Column(title=title, width=wide, drop=place, grow=place == many - 1)


def _title(name: str) -> str:
    for unit in ("_seconds", "_bytes"):
        name = name.removesuffix(unit) if name != unit else name
    return clean(name.replace("_", " "), 30)


def _cell(name: str, value: Any) -> str:
    """A field as a person reads it; null, which is none or not known, is a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _figure(name, value)
    if isinstance(value, dict) and "id" in value:
        return str(value["id"])
    return clean(", ".join(map(str, value)) if isinstance(value, list) else str(value), 1000)


def _figure(name: str, value: float) -> str:
    if name.endswith("seconds"):
        return age(value)
    if name.endswith("bytes"):
        return size(value)
    return f"{value:.1f}" if value % 1 else f"{value:.0f}"


def row(one: Evidence, place: int) -> list[tuple[str, str]]:
    """Every field of one row, as it was."""
    found = one.rows[place]
    return [(name, clean(_whole(found[name]), 8000)) for name in fields(one) if name in found]


def _whole(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
