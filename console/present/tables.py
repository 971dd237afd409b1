"""Tables as cells, as a sentence, and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from console.model.tables import Bloat, Exhaustion, Table, TableKind, Tables
from console.model.wraparound import Numbers, Wraparound
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean, count, size

COLUMNS = (
    Column(title="size", width=7, align="right"),
    Column(title="dead", width=6, align="right"),
    Column(title="bloat", width=7, align="right", drop=1),
    Column(title="vacuum", width=8, least=6, drop=2),
    Column(title="analyze", width=8, least=7, drop=4),
    Column(title="xid age", width=7, align="right", drop=3),
    Column(title="rows", width=6, align="right", drop=5),
    Column(title="indexes", width=7, align="right", drop=6),
    Column(title="free", width=7, align="right", drop=7),
    Column(title="table", width=28, least=20, names=True),
    Column(title="why", width=20, least=10, grow=True),
)
_VACUUMS = ("dead", "bloat", "vacuum", "xid age")  # what only an engine with VACUUM has
_NEARLY = 0.8  # of a sequence's or a column's numbers
_DAY = 86400.0


def vacuums(data: Tables) -> bool:
    """Whether the engine is one with VACUUM: it numbers its transactions. True where nothing is known."""
    return not data.tables or any(table.xid_age is not None for table in data.tables)


def columns(data: Tables) -> tuple[Column, ...]:
    """Those the engine has anything for."""
    return tuple(COLUMNS[place] for place in _places(data))


def _places(data: Tables) -> list[int]:
    return [place for place, one in enumerate(COLUMNS) if vacuums(data) or one.title not in _VACUUMS]


def lines(data: Tables, now: datetime | None = None) -> list[Line]:
    """In the columns of `columns`. Ages of vacuums count by the server's clock; `now` is the reading's, for
    a server that was not asked for its own.
    """
    moment = data.at or now or datetime.now(UTC)
    places = _places(data)
    return [_only(places, _line(table, moment, data.wraparound)) for table in data.tables]


def _only(places: Sequence[int], line: Line) -> Line:
    if len(places) == len(line.cells):
        return line
    return msgspec.structs.replace(
        line,
        cells=tuple(line.cells[place] for place in places),
        tones={places.index(place): tone for place, tone in line.tones.items() if place in places},
    )


def _line(table: Table, now: datetime, wraparound: Wraparound | None) -> Line:
    limit = wraparound.xid.limits.freeze if wraparound else None
    return Line(
        key=table.key,
        cells=(
            whole(table),
            count(table.dead) if table.dead is not None else "",
            wasted(table.bloat),
            last(table.vacuumed_at, table.vacuumed_by, now),
            last(table.analyzed_at, table.analyzed_by, now),
            count(table.xid_age) if table.xid_age is not None else "",
            count(table.rows) if table.rows is not None else UNKNOWN,
            size(table.index_bytes),
            size(table.free_bytes) if table.free_bytes is not None else "",
            _name(table),
            clean(why(table), 300),
        ),
        tone=Tone.MUTED if table.parent else Tone.NORMAL,
        tones=_tones(table, limit),
    )


def _tones(table: Table, limit: int | None) -> dict[int, Tone]:
    found: dict[int, Tone] = {}
    if table.dead is not None and table.vacuum_at is not None and table.dead > table.vacuum_at:
        found[1] = Tone.WARN
    if table.xid_age is not None and limit is not None and table.xid_age > limit:
        found[5] = Tone.BAD
    if table.exhaustion is not None and table.exhaustion.used >= _NEARLY:
        found[10] = Tone.BAD
    return found


def _name(table: Table) -> str:
    mark = "  " if table.parent else ""
    folded = f" ({table.partitions} partitions)" if table.kind is TableKind.PARTITIONED else ""
    return mark + clean(table.key, 200) + folded


def whole(table: Table) -> str:
    """`>` before a size that lacks a part nothing has counted yet."""
    return f"{'>' if table.at_least else ''}{size(table.total_bytes)}"


def wasted(bloat: Bloat | None) -> str:
    """`~` before an estimate; a measured value stands by itself."""
    if bloat is None:
        return UNKNOWN
    return size(bloat.wasted) if bloat.exact else f"~{size(bloat.wasted)}"


def last(at: datetime | None, by: str, now: datetime) -> str:
    if at is None:
        return "never" if by == "never" else ""
    mark = "a" if by == "auto" else ""
    return f"{age((now - at).total_seconds())}{mark}"


def why(table: Table) -> str:
    """The most urgent thing first."""
    said = []
    if table.busy is not None:
        said.append(f"session {table.busy} works on it")
    if table.exhaustion is not None and table.exhaustion.used >= _NEARLY and not _told(table):
        said.append(used_up(table.exhaustion))
    if table.why:
        said.append(table.why)
    if table.stale_statistics:
        said.append("its statistics are stale")
    return "; ".join(said)


def _told(table: Table) -> bool:
    """Whether the engine's own reason is about the numbers already."""
    return table.exhaustion is not None and f"{table.exhaustion.limit:,}" in table.why


def used_up(one: Exhaustion) -> str:
    of = one.column or one.sequence
    return f"{share(one)} of the numbers of {of} are used ({one.last:,} of {one.limit:,})"


def share(one: Exhaustion) -> str:
    """All of them only where none is left."""
    return f"{min(one.used, 0.99) if one.last < one.limit else 1:.0%}"


def summary(data: Tables) -> str:
    """One line: how many, how old, and why autovacuum does not keep up."""
    shown = sum(1 for table in data.tables if table.parent is None)
    said = [f"{shown} of {data.total} tables by {data.order or 'need'}"]
    if data.wraparound is not None:
        said.append(fuel(data.wraparound.xid))
        if data.wraparound.mxid.age > data.wraparound.mxid.limits.freeze:
            said.append(fuel(data.wraparound.mxid))
    if data.why:
        said.append(data.why)
    return " · ".join(said)


def fuel(numbers: Numbers) -> str:
    """`xid age 120M of 2144M, stop in 40d`: how far from the end, and when; what is left, once it warns."""
    left = numbers.seconds_to(numbers.limits.stop)
    when = f", stop in {age(left)}" if left is not None and left < 3650 * _DAY else ""
    rest = numbers.limits.stop - numbers.age
    if rest <= 0:
        return f"{numbers.kind}: none left, the server refuses what needs one (database {numbers.database})"
    near = f", {count(rest)} left" if numbers.age >= numbers.limits.warn else ""
    return f"{numbers.kind} age {count(numbers.age)} of {count(numbers.limits.stop)}{near}{when}"


def note(data: Tables) -> str:
    if data.wraparound is not None and data.wraparound.sentence:
        return data.wraparound.sentence
    return data.notes[0] if data.notes else ""


def details(data: Tables, table: Table) -> list[tuple[str, str]]:
    """Everything about one table, label and value."""
    pairs = [
        (
            "table",
            f"{_name(table).strip()}, {table.storage or table.kind}{_owner(table)}",
        ),
        ("size", _sizes(table)),
        ("rows", _rows(table)),
        ("bloat", _bloat(table.bloat) if vacuums(data) else ""),
        ("vacuum", _looked_after(table.vacuumed_at, table.vacuumed_by, table.vacuum_at, "dead rows", table)),
        ("analyze", _looked_after(table.analyzed_at, table.analyzed_by, table.analyze_at, "changes", table)),
        ("age", _ages(table, data.wraparound)),
        ("settings", ", ".join(f"{name}={value}" for name, value in sorted(table.settings.items()))),
        ("numbers", used_up(table.exhaustion) if table.exhaustion else ""),
        ("why", clean(why(table), 500)),
    ]
    notes = [("unknown", clean(one, 500)) for one in data.notes]
    return [(label, value) for label, value in pairs if value] + notes


def _owner(table: Table) -> str:
    return f", owner {clean(table.owner, 100)}" if table.owner else ""


def _sizes(table: Table) -> str:
    parts = [("table", table.bytes), ("toast", table.toast_bytes), ("indexes", table.index_bytes),
             ("free inside", table.free_bytes)]  # fmt: skip
    known = ", ".join(f"{name} {size(value)}" for name, value in parts if value is not None)
    return f"{whole(table)}: {known}" if known else UNKNOWN


def _rows(table: Table) -> str:
    parts = [("live", table.rows), ("dead", table.dead), ("changed since analyze", table.modified),
             ("inserted since vacuum", table.inserted)]  # fmt: skip
    return ", ".join(f"{value:,} {name}" for name, value in parts if value is not None)


def _bloat(bloat: Bloat | None) -> str:
    if bloat is None:
        return "unknown"
    if bloat.exact:
        return f"{size(bloat.wasted)}, measured"
    return f"about {size(bloat.wasted)} (between {size(bloat.low)} and {size(bloat.high)}), estimated"


def _looked_after(at: datetime | None, by: str, limit: int | None, of: str, table: Table) -> str:
    when = f"{at:%Y-%m-%d %H:%M:%S} UTC ({by or 'unknown by whom'})" if at else ""
    if table.xid_age is None:
        return when
    if not when and table.analyzes is None:  # a standby counts nothing
        return "known to the primary only"
    comes = f"autovacuum comes at {limit:,} {of}" if limit is not None else "autovacuum is off for it"
    return f"{when or 'never since the statistics began'}; {comes}"


def _ages(table: Table, wraparound: Wraparound | None) -> str:
    if table.xid_age is None:
        return ""
    multi = f", multixact {count(table.mxid_age)}" if table.mxid_age is not None else ""
    whole = f"; server: {fuel(wraparound.xid)}" if wraparound else ""
    return f"xid {count(table.xid_age)}{multi}{whole}"


def document(data: Tables) -> list[dict[str, Any]]:
    """Rows of `show tables --json`, in the server's order; null is unknown or what the engine has not."""
    return [
        {
            "table": table.key,
            "total_bytes": table.total_bytes,
            "at_least": table.at_least,
            **{name: value for name, value in msgspec.structs.asdict(table).items() if name not in _INNER},
        }
        for table in data.tables
    ]


_INNER = ("number", "filenode")


def beside(data: Tables) -> dict[str, Any]:
    """What the document says besides its rows."""
    found = data.wraparound
    return {
        "total": data.total,
        "order": data.order,
        "wraparound": _wraparound(found) if found else None,
        "why": data.why,
        "notes": list(data.notes),
    }


def _wraparound(found: Wraparound) -> dict[str, Any]:
    return {
        "xid": _numbers(found.xid),
        "mxid": _numbers(found.mxid),
        "finishes_first": found.finishes_first,
        "sentence": found.sentence,
    }


def _numbers(one: Numbers) -> dict[str, Any]:
    limits = one.limits
    return {
        **msgspec.structs.asdict(one),
        "seconds_to_warn": one.seconds_to(limits.warn),
        "seconds_to_failsafe": one.seconds_to(limits.failsafe),
        "seconds_to_stop": one.seconds_to(limits.stop),
    }


def notes(data: Tables) -> Iterable[str]:
    return data.notes
