"""What is sound in a restored PostgreSQL: sequences, constraints, indexes, heap, collations.

Each fault is named, and no row of data is in a message. What there was no time for is told, and is no pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from actions import integrity_statements as ask
from actions.integrity_statements import Text
from actions.restoring import Restored, Site
from actions.words import counted
from console.dispatch.enclosure import Enclosure
from console.engine.port import Row, Statement
from console.engine.queries import quote_ident
from console.errors import ActionFailed, Cancelled, DbdeckError, Unreachable
from console.model.backups import seconds_of
from console.model.drills import Area, Check, Outcome, PhaseName
from console.model.target import Target

MOST = 200  # names kept of one check
BATCH_BYTES = 128 << 20
BATCH = 100
KEYS_SHARE = 1 / 3  # of a database's time, for foreign keys
LEAST_SECONDS = 1.0  # for each database, whatever is left of the budget
GRACE_SECONDS = 5.0
# Bytes a second of an index and its table by bt_index_parent_check with heapallindexed, on two shared
# processors with 1 GB of pgbench.
DEEP_PACE = 100e6
# The server is at its limit, or we did it wrong: nothing of that is a fault of the data.
_OURS = ("08", "26", "34", "3D", "3F", "42", "53", "54", "55", "57", "0A")


class Found(NamedTuple):
    """What came of trying: faults, what could not be tried and why, and what there was no time for."""

    done: list[Text]
    bad: list[tuple[Text, str]]
    broken: list[tuple[Text, str]]
    late: list[Text]


async def checks(site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
    """Of every database. Raises Cancelled where a stop was asked for."""
    until = time.monotonic() + seconds_of(site.rule.budget)
    found: list[Check] = []
    for place, database in enumerate(restored.databases):
        share = max(LEAST_SECONDS, until - time.monotonic()) / (len(restored.databases) - place)
        target = msgspec.structs.replace(restored.target, database=database)
        one = _Database(site, enclosure, target, time.monotonic() + share)
        found += await site.unless_stopped(one.checks())
    return found


class _Database:
    def __init__(self, site: Site, enclosure: Enclosure, target: Target, until: float) -> None:
        self._site = site
        self._enclosure = enclosure
        self._target = target
        self._until = until
        self._name = target.database
        self._drifted = False  # collations are others here

    async def checks(self) -> list[Check]:
        try:
            await self._ask(ask.prepared())
        except Unreachable as error:
            return [self._check(Area.RECOVERY, "answers", Outcome.FAILED, error.message)]
        except DbdeckError as error:
            return [self._check(Area.INTEGRITY, "what is sound", Outcome.BROKEN, error.message)]
        found = [self._check(Area.RECOVERY, "answers", Outcome.PASSED)]
        for area, name, look in (
            (Area.COLLATION, "versions of collations", self._collations),
            (Area.SEQUENCES, "sequences", self._sequences),
            (Area.INDEXES, "invalid indexes", self._invalid),
            (Area.KEYS, "constraints", self._constraints),
            (Area.INTEGRITY, "tables and indexes", self._relations),
        ):
            start = time.monotonic()
            try:
                made = await look()
            except Cancelled:
                made = [self._check(area, name, Outcome.SKIPPED, "there was no time for it")]
            except DbdeckError as error:
                made = [self._check(area, name, Outcome.BROKEN, error.message)]
            spent = round((time.monotonic() - start) / max(1, len(made)), 3)
            found += [msgspec.structs.replace(one, seconds=spent) for one in made]
        return found

    # ---- asking ---------------------------------------------------------------------------------

    async def _ask(self, statement: Statement) -> list[Row]:
        """Raises Cancelled where it was not answered in the time there is."""
        limits = statement.limits
        if not any(name == "statement_timeout" for name, _ in limits):
            left = max(5.0, self._until - time.monotonic())
            limits = (*limits, ("statement_timeout", f"{round(left * 1000)}ms"))
        statement = msgspec.structs.replace(statement, limits=limits)
        return await self._enclosure.execute(self._target, statement)

    async def _try(self, texts: Sequence[Text], what: str, until: float, *, by_index: bool = False) -> Found:
        """One after the other, in batches; none is begun after `until`."""
        found = Found([], [], [], [])
        total, done = sum(one.bytes for one in texts), 0
        for batch in batches(texts):
            left = until - time.monotonic()
            if left <= 0:
                found.late.extend(batch)
                continue
            end = datetime.now(UTC) + timedelta(seconds=left)
            shown = f"{what}: {_named(batch)}"
            limit = left + GRACE_SECONDS
            await self._one_batch(batch, ask.run(list(batch), shown, end, limit, by_index=by_index), found)
            done += sum(one.bytes for one in batch)
            self._site.advance(PhaseName.VERIFY, done, total, "bytes")
        return found

    async def _one_batch(self, batch: Sequence[Text], statement: Statement, found: Found) -> None:
        try:
            rows = await self._enclosure.execute(self._target, statement)
        except Cancelled:
            found.late.extend(batch)
            return
        by_number = {one.number: one for one in batch}
        for number, state, code, told in rows:
            sort(found, by_number[int(str(number))], str(state), str(code), " ".join(str(told).split()))

    # ---- looks ----------------------------------------------------------------------------------

    async def _collations(self) -> list[Check]:
        ((version,),) = await self._ask(
            Statement(sql="select current_setting('server_version_num')::int4", shown="look at its version")
        )
        items = [str(row[0]) for row in await self._ask(ask.collations(int(str(version)) // 10000))]
        name = "versions of collations"
        if not items:
            return [self._check(Area.COLLATION, name, Outcome.PASSED)]
        self._drifted = True
        said = (
            f"text is sorted otherwise on this host: {'; '.join(items[:3])}. That is the drill host's affair,"
            " not the backup's: on a host like the source's its indexes are in order, here they may not be"
        )
        return [self._check(Area.COLLATION, name, Outcome.SKIPPED, said, items)]

    async def _sequences(self) -> list[Check]:
        rows = await self._ask(ask.sequences())
        texts = [
            Text(place, f"{name} ({column})", str(sql), int(str(size)))
            for place, (_, name, column, sql, size) in enumerate(rows)
        ]
        found = await self._try(texts, "compare sequences with their columns", self._until, by_index=True)
        return self._told(Area.SEQUENCES, "sequences", "sequence", found)

    async def _invalid(self) -> list[Check]:
        names = [str(row[0]) for row in await self._ask(ask.invalid_indexes())]
        known = self._before("invalid index")
        new = [one for one in names if known is None or one not in known]
        if new:
            said = f"invalid, and nobody reads them: {_few(new)}"
            if known is None:
                said += "; whether they are so in the source is not known, as there is no baseline"
            return [self._check(Area.INDEXES, "invalid indexes", Outcome.FAILED, said, new)]
        said = f"{_few(names)}: invalid in the source, too" if names else "none"
        return [self._check(Area.INDEXES, "invalid indexes", Outcome.PASSED, said, names)]

    def _before(self, kind: str) -> set[str] | None:
        """The names in the baseline; None where there is none."""
        baseline = self._site.baseline
        inventory = baseline.inventory(self._name) if baseline is not None else None
        return None if inventory is None else set(inventory.objects.get(kind, {}))

    async def _constraints(self) -> list[Check]:
        unchecked = [str(row[0]) for row in await self._ask(ask.unvalidated())]
        rows = await self._ask(ask.foreign_keys())
        texts, skipped, declared = [], [], set(unchecked)
        for number, name, why, _, size, sql in rows:
            if why is not None:
                skipped.append(f"{name}: {why}")
            else:
                texts.append(Text(int(str(number)), str(name), str(sql), int(str(size))))
        until = time.monotonic() + (self._until - time.monotonic()) * KEYS_SHARE
        found = await self._try(texts, "count rows that refer to none", until)
        # What is NOT VALID was never promised: rows that break it are no fault of the backup.
        known = [f"{one.name}: {told}" for one, told in found.bad if one.name in declared]
        bad = [(one, told) for one, told in found.bad if one.name not in declared]
        made = self._told(Area.KEYS, "foreign keys", "foreign key", found._replace(bad=bad))
        if skipped:
            said = f"not looked at: {_few(skipped)}"
            made.append(self._check(Area.KEYS, "other foreign keys", Outcome.SKIPPED, said, skipped))
        said = "none"
        if unchecked:
            more = f"; broken already: {_few(known)}" if known else ""
            said = f"declared NOT VALID, which a backup keeps: {_few(unchecked)}{more}"
        made.append(self._check(Area.KEYS, "constraints not validated", Outcome.PASSED, said, unchecked))
        return made

    async def _relations(self) -> list[Check]:
        ((default, installed, schema, checksums, version),) = await self._ask(ask.extension())
        rows = await self._ask(ask.relations())
        why = await self._amcheck(default, installed)
        where = quote_ident(str(schema or ask.SCHEMA), "postgresql")
        major = int(str(version)) // 10000
        made = await self._heap(rows, where if not why and major >= 14 else "", str(checksums))
        if why:
            made.append(self._check(Area.INTEGRITY, "B-tree indexes", Outcome.SKIPPED, why))
        else:
            made += await self._btrees(rows, where, unique=major >= 17)
        others = [f"{row[2]} ({row[1]})" for row in rows if row[1] not in ("heap", "btree")]
        if others:
            said = f"no program checks indexes of these kinds: {_few(others)}"
            made.append(self._check(Area.INTEGRITY, "other indexes", Outcome.SKIPPED, said, others))
        return made

    async def _amcheck(self, default: object, installed: object) -> str:
        """Why it cannot be used; empty where it can."""
        if default is None:
            return "the extension amcheck is not among this host's programs: install postgresql-contrib"
        if installed == default:
            return ""
        try:
            for statement in ask.install(installed is not None):
                await self._ask(statement)
        except ActionFailed as error:
            return f"the extension amcheck could not be made: {error.message}"
        return ""

    async def _heap(self, rows: Sequence[Row], schema: str, checksums: str) -> list[Check]:
        texts = []
        for number, kind, name, size, _, _, full in rows:
            if kind == "heap":
                oid = int(str(number))
                sql = ask.heap_text(schema, oid) if schema else ask.read_text(str(full))
                texts.append(Text(oid, str(name), sql, int(str(size))))
        left = self._until - time.monotonic()
        what = "verify_heapam" if schema else "read every page"
        found = await self._try(texts, what, time.monotonic() + left / 2)
        how = f"{what}; page checksums are {checksums}"
        return self._told(Area.INTEGRITY, "tables", "table", found, how)

    async def _btrees(self, rows: Sequence[Row], schema: str, *, unique: bool) -> list[Check]:
        texts, left, deep = [], self._until - time.monotonic(), 0
        for number, kind, name, size, of_table, collated, _ in rows:
            if kind != "btree":
                continue
            cost = int(str(size)) + int(str(of_table))
            whole = cost / DEEP_PACE <= left / 2
            left -= cost / DEEP_PACE if whole else 0
            deep += whole
            sql = ask.btree_text(schema, int(str(number)), deep=whole, unique=unique)
            flag = "text" if collated else ""
            texts.append(Text(int(str(number)), str(name), sql, int(str(size)), flag))
        found = await self._try(texts, "amcheck", self._until)
        mixed = [(one, told) for one, told in found.bad if self._drifted and one.flag]
        found = found._replace(bad=[pair for pair in found.bad if pair not in mixed])
        how = f"{deep} against every row of their table, {len(texts) - deep} by their own order alone"
        made = self._told(Area.INTEGRITY, "B-tree indexes", "index", found, how)
        if mixed:
            said = f"out of order, where text is sorted otherwise than in the source: {_faults(mixed)}"
            made.append(
                self._check(
                    Area.INTEGRITY, "indexes on text", Outcome.BROKEN, said, [one.name for one, _ in mixed]
                )
            )
        return made

    # ---- telling ----------------------------------------------------------------------------------

    def _told(self, area: Area, name: str, noun: str, found: Found, how: str = "") -> list[Check]:
        """What was looked at, what could not be, and what there was no time for, each a check."""
        made = []
        if found.bad:
            items = list(dict.fromkeys(one.name for one, _ in found.bad))
            made.append(self._check(area, name, Outcome.FAILED, _faults(found.bad), items))
        elif found.done or not (found.broken or found.late):
            said = counted(len(found.done), noun) + (f": {how}" if how and found.done else "")
            made.append(self._check(area, name, Outcome.PASSED, said))
        if found.broken:
            items = [one.name for one, _ in found.broken]
            made.append(self._check(area, f"{name}, not tried", Outcome.BROKEN, _faults(found.broken), items))
        if found.late:
            items = [one.name for one in found.late]
            said = f"there was no time for {_few(items)}; a larger `budget` gives it"
            made.append(self._check(area, f"{name}, not looked at", Outcome.SKIPPED, said, items))
        return made

    def _check(
        self, area: Area, name: str, outcome: Outcome, detail: str = "", items: Sequence[str] = ()
    ) -> Check:
        return Check(
            area=area,
            name=f"{self._name}: {name}",
            outcome=outcome,
            detail=detail,
            items=tuple(items[:MOST]),
        )


def sort(found: Found, one: Text, state: str, code: str, told: str) -> None:
    """Where one row of the answer belongs. A text that gave a fault ends with `done` as well."""
    if state == "late":
        found.late.append(one)
    elif state == "bad":
        found.bad.append((one, told))
    elif state == "error":
        (found.broken if code.startswith(_OURS) else found.bad).append((one, f"{told} ({code})"))
    elif not any(other is one for other, _ in found.bad):
        found.done.append(one)


def batches(texts: Sequence[Text]) -> Iterator[Sequence[Text]]:
    """Small ones together, large ones alone, in their order."""
    kept: list[Text] = []
    size = 0
    for one in texts:
        if kept and (size + one.bytes > BATCH_BYTES or len(kept) == BATCH):
            yield kept
            kept, size = [], 0
        kept.append(one)
        size += one.bytes
    if kept:
        yield kept


def _faults(pairs: Sequence[tuple[Text, str]]) -> str:
    return _few([f"{one.name}: {told}" for one, told in pairs], 5)


def _named(batch: Sequence[Text]) -> str:
    return _few([one.name for one in batch], 3)


def _few(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
