"""The history of deadlocks: InnoDB's counter, its last report, the error log as a file and in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from console.engine.mysql.deadlock_notes import Known, notes
from console.engine.mysql.deadlock_rows import LOG, STATUS, UNTIMED, better, deadlock, ident, same_moment
from console.engine.mysql.deadlock_text import Report
from console.engine.mysql.error_log import LogFile, Logged
from console.engine.mysql.innodb_status import latest_deadlock
from console.engine.mysql.link import Link
from console.errors import PrivilegeMissing
from console.model.deadlocks import Deadlock, DeadlockHistory, merged

IN_MEMORY = "performance_schema.error_log"
_KEPT = 1000
_REMEMBERED = 20_000


class Count(msgspec.Struct, frozen=True):
    """InnoDB's counter and when it began; both None where it may not be read or does not count."""

    counted: int | None = None
    since: float | None = None


class Found(msgspec.Struct, frozen=True):
    """A report with the words for its time and where it was; `ran` tells whether this run of the server
    wrote it. A time that is a number is already one.
    """

    report: Report
    at: str | float
    source: str
    ran: bool = True


class Deadlocks:
    """What was seen so far of one server, for as long as the engine object lives."""

    def __init__(self, link: Link, log: str | None) -> None:
        self._link = link
        self._log = LogFile(log) if log else None
        self._looked_at_log = False
        self._server: tuple[str, datetime] | None = None
        self._known: dict[str, Deadlock] = {}
        self._forget_run()

    def _forget_run(self) -> None:
        """The counter begins anew with each start of the server."""
        self._fetched: int | None = None
        self._looked = False
        self._described: dict[str, None] = {}
        self._described_count = 0
        self._times: list[float] = []
        self._paired: dict[str, float] = {}

    async def close(self) -> None:
        if self._log is not None:
            await asyncio.to_thread(self._log.close)

    async def look(self) -> DeadlockHistory:
        """The counter is read before the sources: what happens meanwhile is found again by the next look."""
        _, identity = await self._link.connected()
        if self._server != (identity.system_id, identity.started_at):
            if self._server is not None and self._server[0] != identity.system_id:
                self._known.clear()
            self._server = (identity.system_id, identity.started_at)
            self._forget_run()
        settings = (await self._link.fetch("deadlock_settings", "deadlock settings"))[0]
        known = Known(settings=settings, identity=identity, target=self._link.target)
        count = await self._count(known)
        moved = not self._looked or count.counted is None or count.counted != self._fetched
        found = await self._status(known) if moved else []
        found += await self._logged(known)
        await self._learn(found, count, settings)
        if moved:
            await self._untold(known, count, found)
            self._fetched, self._looked = count.counted, True
        known.elsewhere = await self._elsewhere(known, count)
        return self._history(known, count)

    # ---- sources -----------------------------------------------------------------------------

    async def _count(self, known: Known) -> Count:
        try:
            rows = await self._link.fetch("deadlock_count", "the deadlock counter")
        except PrivilegeMissing as missing:
            known.missing.append(missing)
            return Count()
        if not rows or not rows[0]["counting"]:
            known.not_counting = True
            return Count()
        since = rows[0]["since"]
        began = known.identity.started_at.timestamp() if since is None else float(since)
        return Count(int(rows[0]["counted"]), began)

    async def _status(self, known: Known) -> list[Found]:
        if known.missing:
            return []  # it takes the same privilege
        try:
            rows = await self._link.fetch("innodb_status", STATUS)
        except PrivilegeMissing as missing:
            known.missing.append(missing)
            return []
        report = latest_deadlock(str(rows[0]["Status"])) if rows else None
        return [Found(report, report.at, STATUS)] if report and report.at else []

    async def _logged(self, known: Known) -> list[Found]:
        if self._log is None:
            return []
        first, self._looked_at_log = not self._looked_at_log, True
        try:
            read = await asyncio.to_thread(self._log.look)
        except OSError as error:
            known.log_problem = error
            return []
        now = float(known.settings["clock"])
        return [_of_log(one, self._log.run, None if first else now) for one in read]

    async def _untold(self, known: Known, count: Count, found: list[Found]) -> None:
        """MySQL's log in memory has the headings: when, and no more. Useless where the file is read."""
        told = known.identity.flavor == "mysql" and known.identity.version_num >= 80022 and known.headings
        if not told or (self._log is not None and known.log_problem is None):
            self._times = []
            return
        try:
            rows = await self._link.fetch("deadlock_times", IN_MEMORY, count.since or 0.0)
        except PrivilegeMissing as missing:
            known.missing.append(missing)
            return
        self._times = [float(row["at"]) for row in rows]
        self._pair({ident(one.report) for one in found if one.source == STATUS})

    def _pair(self, newest: set[str]) -> None:
        """STATUS told of the last deadlock, so its time is the last one of that second."""
        for key in newest - self._paired.keys():
            one = self._known.get(key)
            if one is None:
                continue
            at = same_moment(one.at.timestamp(), set(self._times) - set(self._paired.values()))
            if at is not None:
                self._paired[key] = at
                self._known[key] = msgspec.structs.replace(one, at=datetime.fromtimestamp(at, UTC))

    async def _elsewhere(self, known: Known, count: Count) -> int | None:
        """How much more often error 1213 was raised than InnoDB counts deadlocks, twice for some; None where
        the two counters began at other times."""
        started = known.identity.started_at.timestamp()
        if known.identity.flavor != "mysql" or count.counted is None or (count.since or 0) > started + 60:
            return None
        try:
            rows = await self._link.fetch("deadlock_errors", "error counts")
        except PrivilegeMissing:
            return None
        return max(0, int(rows[0]["raised"]) - count.counted) if rows else None

    # ---- what they say together --------------------------------------------------------------

    async def _learn(self, found: list[Found], count: Count, settings: Mapping[str, Any]) -> None:
        times = await self._epochs({one.at for one in found if isinstance(one.at, str) and one.at})
        for one in found:
            at = times.get(one.at) if isinstance(one.at, str) else one.at
            epoch = float(settings["clock"]) if at is None else at
            self._note(one, datetime.fromtimestamp(epoch, UTC))
            if one.ran and (one.source == UNTIMED or epoch >= (count.since or 0.0) - 1):
                self._remember(ident(one.report))
        if len(self._known) > 2 * _KEPT:
            self._known = {one.ident: one for one in merged(self._known.values(), (), keep=_KEPT)}

    def _note(self, one: Found, at: datetime) -> None:
        made = deadlock(one.report, at, one.source)
        if better(made, self._known.get(made.ident)):
            self._known[made.ident] = made

    def _remember(self, key: str) -> None:
        if key not in self._described:
            self._described_count += 1
        self._described[key] = None
        if len(self._described) > _REMEMBERED:
            del self._described[next(iter(self._described))]

    async def _epochs(self, texts: Iterable[str]) -> dict[str, float]:
        """Times with an offset are read here; those of the server's own zone only the server can place."""
        found = {text: when for text in texts if (when := _with_offset(text)) is not None}
        local = sorted(text for text in texts if text not in found and "T" not in text)
        if local:
            rows = await self._link.fetch("local_times", "the server's time zone", json.dumps(local))
            found |= {row["local"]: float(row["epoch"]) for row in rows if row["epoch"] is not None}
        return found

    def _history(self, known: Known, count: Count) -> DeadlockHistory:
        paired = set(self._paired.values())
        untold = [_untold(at) for at in self._times if at not in paired]
        seen = self._described_count + len(untold)
        missed = 0 if count.counted is None else max(0, count.counted - seen)
        return DeadlockHistory(
            deadlocks=merged(self._known.values(), untold, keep=_KEPT),
            counted=count.counted,
            counted_since=None if count.since is None else datetime.fromtimestamp(count.since, UTC),
            missed=missed,
            notes=notes(known, missed=missed, untold=len(untold)),
        )


def _of_log(one: Logged, run: int, now: float | None) -> Found:
    """`now` where the line came since the last look: then it cannot be much older."""
    at: str | float | None = one.report.at
    if at is not None:
        return Found(one.report, at, LOG, ran=one.run == run)
    return Found(one.report, now or one.near or "", UNTIMED, ran=one.run == run)


def _with_offset(text: str) -> float | None:
    if "T" not in text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _untold(at: float) -> Deadlock:
    when = datetime.fromtimestamp(at, UTC)
    return Deadlock(at=when, source=IN_MEMORY, ident=f"{IN_MEMORY} {when.isoformat()}")
