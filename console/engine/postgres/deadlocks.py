"""The deadlocks of a PostgreSQL server: its counter, and what its log tells of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from console.engine.postgres import deadlock_report as report
from console.engine.postgres.link import Link
from console.engine.postgres.log_follow import LOOK_BACK, Follower, LocalFiles, ServedFiles
from console.engine.postgres.names import RETRY_SECONDS
from console.engine.postgres.server_log import DEADLOCKS, CsvLog, JsonLog, LogParser, Matter
from console.engine.postgres.text_log import TextLog
from console.errors import PrivilegeMissing, Unreachable
from console.model.deadlocks import Deadlock, DeadlockHistory, merged

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

KEEP = 1000
# The counter is no reliable signal: a session passes its statistics on up to 10 s after its transaction
# ended (PGSTAT_IDLE_INTERVAL), and not at all while that is open, be it aborted. So the log is read for a
# while after the counter moved, and now and then without that.
HOT_SECONDS = 15.0
ANYWAY_SECONDS = 10.0
SETTLE_SECONDS = 5.0
_LAG = timedelta(seconds=15)
_FORMS = ("jsonlog", "csvlog", "stderr")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What log_source.sql tells: how the log is written, and what this login may do."""

    collected: bool
    destination: str
    zone: str
    prefix: str
    language: str
    threshold: str
    verbosity: str
    may_ask: bool
    may_read: bool
    may_list: bool
    database: str

    @property
    def form(self) -> str | None:
        """The format that tells most, of those that go to a file."""
        written = [one.strip() for one in self.destination.split(",")]
        return next((one for one in _FORMS if one in written), None) if self.collected else None

    @property
    def english(self) -> bool:
        return self.language.split(".")[0].split("_")[0] in ("", "C", "POSIX", "en")


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    counted: int
    since: datetime | None
    now: datetime


class Deadlocks:
    """Remembers what was found, and where reading the log stands."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._server: tuple[str, datetime] | None = None
        self._begin()

    def _begin(self) -> None:
        """Nothing is known of this server, or of this run of it."""
        self._known: dict[str, Deadlock] = {}
        self._tried: dict[tuple[int, int], float] = {}
        self._follower: tuple[object, Follower] | None = None
        self._first: _Counted | None = None
        self._last: _Counted | None = None
        self._moved = self._looked = float("-inf")
        self._missed = 0
        self._refused = False
        self._notes: tuple[str, ...] = ()

    async def read(self) -> DeadlockHistory:
        _, identity = await self._link.connected()
        if self._server != (identity.system_id, identity.started_at):
            self._server = identity.system_id, identity.started_at
            self.close()
            self._begin()
        problem = await self._count()
        now = time.monotonic()
        if now - self._moved < HOT_SECONDS or now - self._looked >= ANYWAY_SECONDS or self._behind:
            self._looked = now
            await self._look()
        if now - self._moved >= SETTLE_SECONDS:
            self._missed = self._unaccounted()
        return DeadlockHistory(
            deadlocks=merged((), self._known.values(), keep=KEEP),
            counted=self._last.counted if self._last else None,
            counted_since=self._last.since if self._last else None,
            missed=self._missed,
            notes=(*problem, *self._notes),
        )

    @property
    def _behind(self) -> bool:
        return self._follower is not None and self._follower[1].behind

    # ---- the counter -------------------------------------------------------------------------

    async def _count(self) -> tuple[str, ...]:
        """The only read of a catalog here: while somebody locks it, the log is still an answer."""
        try:
            row = (await self._link.fetch("deadlock_counter", "the deadlock counter"))[0]
        except Unreachable as error:
            if not self._link.alive:
                raise
            self._last = None
            return (f"the deadlock counter is unknown: {error.message}",)
        fresh = _Counted(counted=row["counted"], since=row["since"], now=row["now"])
        if self._last is None or fresh.counted != self._last.counted:
            self._moved = time.monotonic()
        if self._first is None or fresh.counted < self._first.counted:  # reset, or a database was dropped
            self._first = fresh
        self._last = fresh
        return ()

    def _unaccounted(self) -> int:
        """Since we look: the counter's steps without a description. What the log told of the seconds
        before counts for it, as the counter may have lagged: rather too few than one too many.
        """
        if self._first is None or self._last is None:
            return self._missed
        told = sum(1 for one in self._known.values() if one.at > self._first.now - _LAG)
        return max(0, self._last.counted - self._first.counted - told)

    # ---- the log -----------------------------------------------------------------------------

    async def _look(self) -> None:
        row = (await self._link.fetch("log_source", "the server's log settings"))[0]
        source = msgspec.convert(dict(row), Source)
        follower = self._following(source)
        if follower is None:
            self._notes = tuple(missing(source, self._link.target.monitor.user))
            return
        try:
            found = await follower.read()
        except (Unreachable, OSError) as error:
            self._follower = None
            if not self._link.alive:
                raise
            self._refused = isinstance(error, PrivilegeMissing)
            self._notes = (f"the server's log could not be read: {_text(error)}",)
            return
        for path, entry in found:
            one = report.deadlock(entry, path, read_at=self._last.now if self._last else _here())
            self._known[one.ident] = one
        await self._name()
        self._forget()
        self._notes = tuple(self._remarks(source, follower))

    def _following(self, source: Source) -> Follower | None:
        """Rights and settings may change while we look: then another source is followed from its start."""
        path = self._link.target.log
        served = source.form is not None and source.may_ask and source.may_read and source.may_list
        served = served and not (self._refused and path)
        if not served and not path:
            self._follower = None
            return None
        key = (source.form if served else path, source.zone, source.prefix)
        if self._follower is None or self._follower[0] != key:
            files = ServedFiles(self._link, source.form or "") if served else LocalFiles(path or "")
            form = source.form if served else None
            self._follower = (
                key,
                Follower(files, lambda *file: parser(source, form, file)),
            )
        return self._follower[1]

    async def _name(self) -> None:
        """One that was dropped since has no name any more: it is not asked for with each read."""
        wanted = {one.ident: report.relations_in(one) for one in self._known.values()}
        now = time.monotonic()
        recent = {pair for pair, asked in self._tried.items() if now - asked < RETRY_SECONDS}
        fresh = {pair for pairs in wanted.values() for pair in pairs} - recent
        if fresh:
            self._tried |= dict.fromkeys(fresh, now)
            await self._link.learn_databases({database for database, _ in fresh})
            await self._link.learn_relations(fresh)
        names = self._link.names.relations
        for ident, pairs in wanted.items():
            if any(pair in names for pair in pairs):
                self._known[ident] = report.with_names(self._known[ident], names)

    def _forget(self) -> None:
        kept = merged((), self._known.values(), keep=KEEP)
        self._known = {one.ident: one for one in kept}

    def _remarks(self, source: Source, follower: Follower) -> Iterator[str]:
        if follower.skipped:
            mib = follower.skipped / (1 << 20)
            yield f"{mib:.1f} MiB of older log were not read: a first look goes back {LOOK_BACK >> 20} MiB"
        if follower.behind:
            yield "the log grew faster than it was read: the rest follows with the next reads"
        yield from hindrances(source)

    def close(self) -> None:
        self._follower = None


def parser(
    source: Source, form: str | None, file: tuple[str, bytes, int], matter: Matter = DEADLOCKS
) -> LogParser:
    """By the format asked for, else by the file's name, else by its first bytes."""
    path, head, offset = file
    form = (
        form
        or _FORM_OF.get(Path(path).suffix)
        or ("jsonlog" if head.startswith(b'{"timestamp"') else "stderr")
    )
    where = known_zone(source.zone)
    if form == "jsonlog":
        return JsonLog(where, offset, matter)
    if form == "csvlog":
        return CsvLog(where, offset, matter)
    return TextLog(where, offset, source.prefix, matter)


_FORM_OF = {".json": "jsonlog", ".csv": "csvlog"}


def known_zone(name: str) -> ZoneInfo | None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def missing(source: Source, user: str) -> Iterator[str]:
    """Why only the counter is known, and exactly what would change that."""
    local = "or give the target `log:`, the path of the log on this machine"
    if source.form is None:
        yield (
            "what deadlocked stands in the server's log, which is not written to files it can hand out: "
            f"set logging_collector = on (restart) and log_destination = 'jsonlog' (15+) or 'csvlog', {local}"
        )
        return
    grants = []
    if not source.may_list:
        grants.append(f"GRANT pg_monitor TO {user};")
    if not source.may_ask:
        grants.append(f"GRANT EXECUTE ON FUNCTION pg_current_logfile(text) TO {user};")
    if not source.may_read:
        grants.append(f"GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint) TO {user};")
    yield (
        "what deadlocked stands in the server's log, which this login may not read: in the database "
        f"{source.database} run {' '.join(grants)} (it may then read every file of the data folder), {local}"
    )


def hindrances(source: Source) -> Iterator[str]:
    """Settings under which the log tells less than it could."""
    if source.threshold in ("log", "fatal", "panic"):
        yield f"log_min_messages = {source.threshold} keeps deadlocks out of the log: set it to error"
    if source.verbosity == "terse":
        yield "log_error_verbosity = terse leaves out who waited for whom: set it to default"
    if not source.english and source.form == "stderr":
        yield (
            f"lc_messages = {source.language}: text logs in another language are not understood; "
            "add csvlog or jsonlog (15+) to log_destination"
        )
    if known_zone(source.zone) is None:
        yield f"log_timezone = {source.zone} is unknown here: times of the log may be off by its offset"


def _here() -> datetime:
    return datetime.now().astimezone()


def _text(error: Exception) -> str:
    if isinstance(error, Unreachable):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
