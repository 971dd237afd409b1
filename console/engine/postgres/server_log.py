"""The messages that matter in a server log of PostgreSQL: text, CSV or JSON, in pieces of any size. Pure.

Manual, "Error Reporting and Logging": log_line_prefix, "Using CSV-Format Log Output", "Using JSON-Format
Log Output"; elog.c: each part of a text message has the prefix and its own keyword, further lines of a
part begin with a tab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DEADLOCK = "40P01"
LONGEST_RECORD = 16 << 20  # bytes; a longer one is given up: something else than a log is being read


class Matter(NamedTuple):
    """Which messages are looked for: by SQLSTATE, or by how an English one begins. `near` is in every line
    that can be one: it is tried first, as nearly no line is. `logged`: those of the level LOG, too.
    """

    codes: frozenset[str]
    words: re.Pattern[str]
    near: re.Pattern[bytes]
    logged: bool = False

    def fits(self, code: str, message: str) -> bool:
        return code in self.codes or bool(self.words.match(message))


DEADLOCKS = Matter(
    codes=frozenset({DEADLOCK}),
    words=re.compile(r"deadlock detected\Z"),
    near=re.compile(rb"deadlock detected|40P01"),
)


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `offset` is where it begins in its file, in bytes; `code` is its SQLSTATE, empty where the
    log does not tell it.

    `at` is exact to the millisecond where `exact`; None where the log does not tell the time.
    """

    offset: int
    at: datetime | None = None
    exact: bool = False
    pid: int | None = None
    user: str | None = None
    database: str | None = None
    application: str | None = None
    client: str | None = None
    code: str = ""
    message: str = ""
    detail: str = ""
    context: str = ""
    statement: str = ""


class LogParser(Protocol):
    def feed(self, data: bytes) -> list[LogEntry]:
        """The entries that are complete now."""
        ...

    def rest(self) -> list[LogEntry]:
        """What was begun and may go on; nothing is consumed, and a later feed may return it again, longer."""
        ...


class Lines:
    """Bytes -> whole lines with their offsets. `skip`: the first piece begins inside a line."""

    def __init__(self, offset: int, *, skip: bool) -> None:
        self._offset = offset
        self._skip = skip
        self._tail = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        *whole, self._tail = (self._tail + data).split(b"\n")
        for line in whole:
            start, self._offset = self._offset, self._offset + len(line) + 1
            if not self._skip:
                yield start, line.removesuffix(b"\r")
            self._skip = False
        if len(self._tail) > LONGEST_RECORD:
            self._offset += len(self._tail)
            self._tail, self._skip = b"", True


# ---- time ----------------------------------------------------------------------------------------

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d{1,6})? ([A-Za-z]\w*|[+-]\d\d(?::?\d\d)?)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?")


def moment(text: str, zone: ZoneInfo | None) -> tuple[datetime | None, bool]:
    """(UTC, whether it has fractions) of `2026-11-21 14:08:34.058 CET`; `zone` is log_timezone."""
    found = _MOMENT.search(text)
    if found is None:
        return None, False
    try:
        naive = datetime.fromisoformat(found[1] + (found[2] or "").ljust(7, "0")[: 7 if found[2] else 0])
        return _aware(naive, found[3], zone).astimezone(UTC), found[2] is not None
    except (ValueError, OverflowError):
        return None, False


def _aware(naive: datetime, abbreviation: str, zone: ZoneInfo | None) -> datetime:
    """The abbreviation tells the two halves of the hour apart that clocks are set back by."""
    for fold in (0, 1) if zone else ():
        candidate = naive.replace(tzinfo=zone, fold=fold)
        if candidate.tzname() == abbreviation:
            return candidate
    offset = _OFFSET.fullmatch(abbreviation)
    if offset:
        east = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return naive.replace(tzinfo=timezone(east if offset[1] == "+" else -east))
    known = abbreviation in ("UTC", "GMT", "UCT", "Z")
    return naive.replace(tzinfo=UTC if known or zone is None else zone)


# ---- JSON and CSV --------------------------------------------------------------------------------


class _Json(msgspec.Struct, frozen=True):
    timestamp: str = ""
    user: str | None = None
    dbname: str | None = None
    pid: int | None = None
    remote_host: str | None = None
    state_code: str = ""
    message: str = ""
    detail: str = ""
    context: str = ""
    statement: str = ""
    application_name: str | None = None


class JsonLog:
    """One object a line."""

    def __init__(self, zone: ZoneInfo | None, offset: int = 0, matter: Matter = DEADLOCKS) -> None:
        self._zone = zone
        self._matter = matter
        self._lines = Lines(offset, skip=offset > 0)

    def feed(self, data: bytes) -> list[LogEntry]:
        near = self._matter.near.search
        found = [self._entry(offset, line) for offset, line in self._lines.feed(data) if near(line)]
        return [one for one in found if one is not None]

    def rest(self) -> list[LogEntry]:
        return []

    def _entry(self, offset: int, line: bytes) -> LogEntry | None:
        try:
            record = msgspec.json.decode(line.decode(errors="replace"), type=_Json)
        except msgspec.DecodeError:
            return None
        if not self._matter.fits(record.state_code, record.message):
            return None
        at, exact = moment(record.timestamp, self._zone)
        return LogEntry(
            offset=offset,
            at=at,
            exact=exact,
            pid=record.pid,
            user=record.user or None,
            database=record.dbname or None,
            application=_known(record.application_name),
            client=_client(record.remote_host),
            code=record.state_code,
            message=record.message,
            detail=record.detail,
            context=record.context,
            statement=record.statement,
        )


_CSV_START = re.compile(rb'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [^,"]+,')
_CSV_COLUMNS = 23  # of PostgreSQL 9 to 12; later ones have more at the end


class CsvLog:
    """Records end at a line break outside quotes. One that makes no sense is given up for the next start."""

    def __init__(self, zone: ZoneInfo | None, offset: int = 0, matter: Matter = DEADLOCKS) -> None:
        self._zone = zone
        self._matter = matter
        self._lines = Lines(offset, skip=offset > 0)
        self._record: list[bytes] = []
        self._size = self._start = 0
        self._open = False

    def feed(self, data: bytes) -> list[LogEntry]:
        found = []
        for offset, line in self._lines.feed(data):
            if not self._open:
                self._record, self._size, self._start = [], 0, offset
                if not _CSV_START.match(line):
                    continue
            self._record.append(line)
            self._size += len(line) + 1
            self._open ^= bool(line.count(b'"') % 2)
            if self._open and self._size > LONGEST_RECORD:
                self._open = False
            elif not self._open and (entry := self._entry()):
                found.append(entry)
        return found

    def rest(self) -> list[LogEntry]:
        return []

    def _entry(self) -> LogEntry | None:
        record = b"\n".join(self._record)
        if not self._matter.near.search(record):
            return None
        columns = columns_of(record.decode(errors="replace"))
        if len(columns) < _CSV_COLUMNS or not self._matter.fits(columns[12], columns[13]):
            return None
        at, exact = moment(columns[0], self._zone)
        return LogEntry(
            offset=self._start,
            at=at,
            exact=exact,
            pid=int(columns[3]) if columns[3].isdecimal() else None,
            user=columns[1] or None,
            database=columns[2] or None,
            application=_known(columns[22]),
            client=_client(columns[4].rpartition(":")[0] or columns[4]),
            code=columns[12],
            message=columns[13],
            detail=columns[14],
            context=columns[18],
            statement=columns[19],
        )


# The csv module has a limit on the length of fields, and it is one for the whole process.
_COLUMN = re.compile(r'(?:"((?:[^"]+|"")*)"|([^,"]*))(,|\Z)')


def columns_of(record: str) -> list[str]:
    """Empty where the record is not well-formed."""
    columns, place, more = [], 0, True
    while more:
        found = _COLUMN.match(record, place)
        if found is None:
            return []
        columns.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        place, more = found.end(), bool(found[3])
    return columns


def _known(text: str | None) -> str | None:
    return None if text in (None, "", "[unknown]") else text


def _client(host: str | None) -> str | None:
    return "local" if host == "[local]" else _known(host)
