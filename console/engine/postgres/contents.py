"""The rows of a database's tables: counted and summed, the cheapest tables first, until the time is up."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

import asyncpg

from console.engine.postgres.aside import Aside
from console.engine.postgres.errors import FAILURES, lost, on_read
from console.engine.postgres.remedies import past_row_security, to_read_data
from console.engine.postgres.rows import Record
from console.model.inventory import Contents, TableContent, Wanted

LARGE_OBJECTS = "large objects"
PAGE = 8192
SMALL = 64 << 20  # bytes that are always summed whole
SAMPLE = 100  # one key in so many
# Bytes a second, until this server has shown its own: rows of pgbench, measured on two shared processors.
PACE = 150e6
COUNT_FASTER = 3.0  # counting, or summing one row in a hundred, is quicker than summing all by this
TELLING = 32 << 20  # bytes that a table must have for its time to say how quick this server is
LEAST_SECONDS = 0.02  # not worth a statement
_BRACE = re.compile(r"\{(columns|sampled|table)\}")


class Look(NamedTuple):
    """How a table is looked at. `sample` 0: it is counted only, and `why` says why."""

    sample: int
    why: str = ""


def look(row: Record, before: TableContent | None, left: float, pace: float) -> Look:
    """As it was looked at before; else all of its rows, where that takes at most half of the time left."""
    if before is not None:
        if before.sample > 1 and not row["key"]:
            return Look(0, "it has no primary key now, by which it was sampled before")
        return Look(before.sample if before.checksum else 0)
    size = row["pages"] * PAGE
    if size <= SMALL or size / pace <= left / 2:
        return Look(1)
    if row["key"]:
        return Look(SAMPLE)
    return Look(0, "there is no time to sum all rows, and no primary key to sample them by")


def statement(text: str, row: Record, sample: int) -> str:
    """Names come quoted from the server itself; nothing of a user's is put in."""
    sampled = "true"
    if sample > 1:
        sampled = f'hashtextextended(row({", ".join(row["key"])})::text collate "C", 0) % {sample:d} = 0'
    given = {"columns": ", ".join(row["columns"]), "sampled": sampled, "table": row["name"]}
    return _BRACE.sub(lambda found: str(given[found[1]]), text)


async def read(aside: Aside, database: str, wanted: Wanted) -> Contents:
    """Raises an Unreachable error only where the connection was lost: what one table has is its own."""
    start = time.monotonic()
    before = {one.name: one for one in wanted.like}
    rows = await aside.fetch("contents_tables", "the tables")
    tables = await _large_objects(aside)
    reader = _Reader(aside, before, start + wanted.seconds)
    for row in rows:
        found = await reader.table(row)
        if found is not None:
            tables.append(found)
    return Contents(database=database, tables=tuple(tables), seconds=time.monotonic() - start)


async def _large_objects(aside: Aside) -> list[TableContent]:
    row = (await aside.fetch("contents_large_objects", "the large objects"))[0]
    if not row["rows"]:
        return []
    return [TableContent(name=LARGE_OBJECTS, rows=row["rows"], checksum=row["checksum"])]


class _Reader:
    def __init__(self, aside: Aside, before: Mapping[str, TableContent], deadline: float) -> None:
        self._aside = aside
        self._before = before
        self._deadline = deadline
        self._pace = PACE

    async def table(self, row: Record) -> TableContent | None:
        """None where it was dropped meanwhile."""
        if why := self._closed(row):
            return estimated(row, why)
        left = self._deadline - time.monotonic()
        if left < LEAST_SECONDS:
            return estimated(row, "the time given was up")
        how = look(row, self._before.get(row["name"]), left, self._pace)
        start = time.monotonic()
        try:
            found = (await self._aside.raw(self._text(row, how), seconds=left))[0]
        except FAILURES as error:
            return self._failed(row, error)
        self._learn(row, how, time.monotonic() - start)
        return TableContent(
            name=row["name"],
            rows=found["rows"],
            checksum=found["checksum"] if how.sample else "",
            sample=max(1, how.sample),
            unlogged=row["unlogged"],
            why=how.why,
        )

    def _text(self, row: Record, how: Look) -> str:
        return statement(
            self._aside.text("contents_rows" if how.sample else "contents_count"), row, how.sample
        )

    def _closed(self, row: Record) -> str:
        """Why there is no sense in asking."""
        if not row["readable"]:
            return (
                f"{self._aside.user} may not read it: {to_read_data(self._aside.version, self._aside.user)}"
            )
        return "an unlogged table cannot be read on a standby" if row["shut"] else ""

    def _failed(self, row: Record, error: BaseException) -> TableContent | None:
        if lost(error):
            raise on_read(error, self._aside.target, f"the rows of {row['name']}") from None
        if isinstance(error, asyncpg.UndefinedTableError):
            return None
        if isinstance(error, asyncpg.QueryCanceledError):
            return estimated(row, "it was not read to its end in the time given")
        if isinstance(error, asyncpg.LockNotAvailableError):
            return estimated(row, "somebody locks it")
        if isinstance(error, asyncpg.InsufficientPrivilegeError) and row["secured"]:
            why = f"row security hides rows of it: {past_row_security(self._aside.user)}"
        else:
            why = f"it cannot be read: {' '.join(str(error).split())} ({getattr(error, 'sqlstate', '')})"
        return TableContent(name=row["name"], unlogged=row["unlogged"], why=why)

    def _learn(self, row: Record, how: Look, seconds: float) -> None:
        size = row["pages"] * PAGE
        if size >= TELLING and seconds > 0:
            faster = 1.0 if how.sample == 1 else COUNT_FASTER
            self._pace = size / seconds / faster


def estimated(row: Record, why: str) -> TableContent:
    return TableContent(
        name=row["name"], rows=row["estimate"], exact=False, unlogged=row["unlogged"], why=why
    )
