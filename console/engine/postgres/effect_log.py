"""What a PostgreSQL log tells of ended sessions and cancelled statements, and pgaudit's lines in it.

SQLSTATEs: manual, appendix A, class 57 (57P01 admin_shutdown, 57014 query_canceled). pgaudit's README,
"Format": AUDIT: type, statement id, substatement id, class, command, object type, object name, statement,
parameters, as CSV.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from console.engine.postgres.deadlocks import Source, known_zone, parser
from console.engine.postgres.link import Link
from console.engine.postgres.log_follow import LOOK_BACK, Follower, LocalFiles, ServedFiles
from console.engine.postgres.remedies import role_in_sql
from console.engine.postgres.server_log import LogEntry, LogParser, Matter, columns_of, moment
from console.errors import Unreachable
from console.model.effects import CANCELLED, ENDED, STATEMENT, Logged, LogPlace, Look

_READS = 20  # of the log at most, each of some MiB: then the rest is not waited for
_SHUTDOWN = re.compile(r"received (?:smart|fast|immediate) shutdown request")
_AUDIT = "AUDIT: "
_ASKED = "canceling statement due to user request"
_TERMINATED = "terminating connection due to administrator command"
MATTER = Matter(
    codes=frozenset({"57P01", "57014"}),
    words=re.compile(rf"{_TERMINATED}|{_ASKED}|{_AUDIT}|{_SHUTDOWN.pattern}"),
    near=re.compile(rb"57P01|57014|administrator command|due to user request|AUDIT: |shutdown request"),
    logged=True,
)
_EDGE = timedelta(seconds=2)  # of times in whole seconds
# Of the class MISC: the rest, such as SET, is everybody's.
_MISC = frozenset({"ALTER", "VACUUM", "ANALYZE", "REINDEX", "CLUSTER", "CHECKPOINT", "LOAD"})


class Heard(NamedTuple):
    """`missing` is why nothing was read."""

    lines: tuple[Logged, ...] = ()
    place: LogPlace = LogPlace()
    notes: tuple[str, ...] = ()
    missing: str = ""


async def read(link: Link, before: Look | None) -> Heard:
    """What came since the look before; of a first look, only where the log ends. Raises an Unreachable error
    when the connection is lost.
    """
    row = (await link.fetch("log_source", "the server's log settings"))[0]
    source = msgspec.convert(dict(row), Source)
    starts = _Starts(source)
    follower = _follower(link, source, starts)
    if follower is None:
        return Heard(missing=_missing(source, link.target.monitor.user))
    read_at = (await link.fetch("shown_clock", "the clock"))[0]["now"]
    try:
        found = await _all(follower)
    except (Unreachable, OSError) as error:
        if not link.alive:
            raise
        return Heard(missing=f"the server's log could not be read: {error}")
    path, offset = follower.place
    place = LogPlace(path=path, offset=offset, read_at=read_at)
    if before is None:
        return Heard(place=place)
    fresh = [entry for file, entry in found if _is_new(file, entry, before)]
    lines = tuple(line for entry in fresh for line in logged(entry))
    return Heard(lines=lines, place=place, notes=tuple(_notes(source, follower, starts, before)))


def _follower(link: Link, source: Source, starts: _Starts) -> Follower | None:
    """By SQL where this login may, else the file that the config names."""
    if source.form is not None and source.may_ask and source.may_read and source.may_list:
        form: str | None = source.form
        return Follower(ServedFiles(link, source.form), lambda *file: starts.parser(form, file))
    if link.target.log:
        return Follower(LocalFiles(link.target.log), lambda *file: starts.parser(None, file))
    return None


async def _all(follower: Follower) -> list[tuple[str, LogEntry]]:
    found: dict[tuple[str, int], LogEntry] = {}
    for _ in range(_READS):
        found |= {(path, entry.offset): entry for path, entry in await follower.read()}
        if not follower.behind:
            break
    return [(path, entry) for (path, _), entry in found.items()]


class _Starts:
    """Makes the parsers, and notes the earliest time in what they read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.first: datetime | None = None

    def parser(self, form: str | None, file: tuple[str, bytes, int]) -> LogParser:
        return _Timed(parser(self._source, form, file, MATTER), self)

    def note(self, data: bytes) -> None:
        at, _ = moment(data[:4096].decode(errors="replace"), known_zone(self._source.zone))
        if at is not None and (self.first is None or at < self.first):
            self.first = at


class _Timed:
    def __init__(self, inner: LogParser, starts: _Starts) -> None:
        self._inner = inner
        self._starts = starts
        self._begun = False

    def feed(self, data: bytes) -> list[LogEntry]:
        if not self._begun and data:
            self._begun = True
            self._starts.note(data)
        return self._inner.feed(data)

    def rest(self) -> list[LogEntry]:
        return self._inner.rest()


def _is_new(path: str, entry: LogEntry, before: Look) -> bool:
    """By its time; near the end of what was read before, and where there is none, by its place."""
    read_at = before.log.read_at or before.taken_at
    if entry.at is not None and abs(entry.at - read_at) > _EDGE:
        return entry.at > read_at
    return path != before.log.path or entry.offset >= before.log.offset


# ---- entries -> lines ---------------------------------------------------------------------------------


def logged(entry: LogEntry) -> Iterator[Logged]:
    """Nothing for what is nobody's doing: a background worker's end, a time-out."""
    text = entry.message
    if _SHUTDOWN.match(text):
        yield Logged(at=entry.at, what=ENDED, shutdown=True)
    elif text.startswith(_AUDIT):
        yield from _audited(entry, text.removeprefix(_AUDIT))
    elif text.startswith(_TERMINATED) or (entry.code == "57P01" and not text.startswith("terminating ")):
        yield _of(entry, ENDED)
    elif text.startswith(_ASKED) or entry.code == "57014":
        english = text.startswith("canceling ") and not text.startswith(_ASKED)
        yield _of(entry, CANCELLED, reason=text if english else "")


def _of(entry: LogEntry, what: str, reason: str = "") -> Logged:
    return Logged(
        at=entry.at, what=what, session=entry.pid, user=entry.user or "", database=entry.database or "",
        application=entry.application or "", client=entry.client or "", reason=reason,
    )  # fmt: skip


def _audited(entry: LogEntry, text: str) -> Iterator[Logged]:
    """DDL and ROLE; of MISC what changes or works on the server, as SET and the like are everybody's."""
    columns = columns_of(text)
    if len(columns) < 8:
        return
    kind, command, thing, statement = columns[3], columns[4], columns[6], columns[7]
    works = command.partition(" ")[0] in _MISC or command.endswith(" PREPARED")
    if kind in ("DDL", "ROLE") or (kind == "MISC" and works):
        bare = _of(entry, STATEMENT)
        yield msgspec.structs.replace(bare, command=command, object=thing, statement=statement)


# ---- what is not known --------------------------------------------------------------------------------


def _missing(source: Source, user: str) -> str:
    local = "or give the target `log:`, the path of the log on this machine"
    if source.form is None:
        return (
            "who ended sessions stands in the server's log, which is not written to files it can hand out: "
            f"set logging_collector = on (restart) and log_destination = 'jsonlog' (15+) or 'csvlog', {local}"
        )
    who = role_in_sql(user)
    grants = [
        grant
        for may, grant in (
            (source.may_list, f"GRANT pg_monitor TO {who};"),
            (source.may_ask, f"GRANT EXECUTE ON FUNCTION pg_current_logfile(text) TO {who};"),
            (
                source.may_read,
                f"GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint) TO {who};",
            ),
        )
        if not may
    ]
    return (
        "who ended sessions stands in the server's log, which this login may not read: in the database "
        f"{source.database} run {' '.join(grants)} (it may then read every file of the data folder), {local}"
    )


def _notes(source: Source, follower: Follower, starts: _Starts, before: Look) -> Iterator[str]:
    since = before.log.read_at or before.taken_at
    if starts.first is not None and starts.first > since:
        skipped = f"; a look goes back {LOOK_BACK >> 20} MiB" if follower.skipped else "; older ones are gone"
        yield (
            f"the log was read from {starts.first:%Y-%m-%d %H:%M:%S} UTC on: who ended sessions before that "
            f"is not known{skipped}"
        )
    if follower.behind:
        yield "the log grew faster than it was read: the rest is not known"
    yield from _hindrances(source)


def _hindrances(source: Source) -> Iterable[str]:
    said = {
        "log": "cancelled statements",
        "fatal": "cancelled statements and pgaudit's lines",
        "panic": "everything that is told here",
    }
    if source.threshold in said:
        kept = said[source.threshold]
        yield f"log_min_messages = {source.threshold} keeps {kept} out of the log: set it to error"
    if source.form != "stderr" and source.form is not None:
        return
    if not source.english and "%e" not in source.prefix:
        yield (
            f"lc_messages = {source.language}: text logs in another language are not understood; add csvlog "
            "or jsonlog (15+) to log_destination, or %e to log_line_prefix"
        )
    if "%p" not in source.prefix:
        yield "log_line_prefix has no %p: which session was ended is not in the log"
    if "%m" not in source.prefix and "%t" not in source.prefix and "%n" not in source.prefix:
        yield "log_line_prefix has neither %m, %t nor %n: when it was is not in the log"
