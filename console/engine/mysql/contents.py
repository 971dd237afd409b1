"""Rows and checksums of the tables of a database, within a time; and questions of the user's own."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from console.engine.mysql.reader import Reader
from console.engine.plain import plain
from console.engine.port import Selected
from console.engine.queries import quote_ident
from console.errors import ActionFailed, DbdeckError, PrivilegeMissing
from console.model.inventory import Contents, TableContent, Wanted

# A first guess, in bytes of table and indexes a second; then what was measured counts. Research 3.2 of
# drills: 2.5 million rows of 361 MB in 0.6 s, from a warm cache.
_RATE = 100e6
_SURE = 0.8  # share of the time left that one table may take by the reckoning
_BINARY = frozenset({"binary", "varbinary", "bit"})
_LONG = frozenset({"tinytext", "text", "mediumtext", "longtext", "json", "xmltype"})
_LONG_BINARY = frozenset(
    {"tinyblob", "blob", "mediumblob", "longblob", "geometry", "point", "linestring", "polygon", "vector",
     "multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection"}
)  # fmt: skip
_WORDS = frozenset({"char", "varchar", "enum", "set"})


class Column(NamedTuple):
    name: str
    data_type: str


class Table(NamedTuple):
    """`key` are the columns of its primary key; empty where it has none."""

    name: str
    engine: str
    estimate: int
    bytes: int
    columns: tuple[Column, ...]
    key: tuple[Column, ...]


def as_bytes(column: Column) -> str:
    """A column as bytes that are the same on every server of a flavour. NULL and every value differ: QUOTE
    gives NULL without quotes. Long ones by their length and CRC, so that a row never grows beyond
    max_allowed_packet: the newest MySQL has no MD5 any more.
    """
    name, kind = quote_ident(column.name, "mysql"), column.data_type.lower()
    if kind in _LONG_BINARY:
        return _shortened(f"cast({name} as binary)")
    if kind in _LONG:
        return _shortened(f"convert({name} using utf8mb4)")
    if kind in _BINARY:
        return f"quote(hex({name}))"
    if kind in _WORDS:
        return f"quote(hex(convert({name} using utf8mb4)))"
    return f"quote(cast({name} as char))"


def _shortened(value: str) -> str:
    return f"quote(concat(length({value}), ':', crc32({value})))"


def row_hash(columns: Sequence[Column]) -> str:
    return f"crc32(concat_ws(',', {', '.join(as_bytes(one) for one in columns)}))"


def sum_of(table: Table, database: str, sample: int) -> str:
    """Count and checksum in one pass. The sum does not depend on the order of rows, and equal rows do not
    cancel each other. Only rows whose key's hash is 0 modulo `sample` are summed.
    """
    named = f"{quote_ident(database, 'mysql')}.{quote_ident(table.name, 'mysql')}"
    value = row_hash(table.columns)
    if sample > 1:
        value = f"if({row_hash(table.key or table.columns)} % {sample} = 0, {value}, null)"
    return f"select count(*) as counted, sum({value}) as total, count({value}) as summed from {named}"  # noqa: S608


async def tables_of(reader: Reader, database: str) -> tuple[Table, ...]:
    """Those with rows of their own, the smallest first."""
    columns: dict[str, list[Column]] = defaultdict(list)
    for row in await reader.fetch("inventory_columns", database):
        columns[str(row["table_name"])].append(Column(str(row["name"]), str(row["data_type"])))
    keys: dict[str, list[str]] = defaultdict(list)
    for row in await reader.fetch("inventory_indexes", database):
        if row["name"] == "PRIMARY":
            keys[str(row["table_name"])].append(str(row["column_name"]))
    found = []
    for row in await reader.fetch("inventory_tables", database):
        if row["kind"] not in ("BASE TABLE", "SYSTEM VERSIONED"):
            continue
        name = str(row["name"])
        own = tuple(columns[name])
        key = tuple(one for wanted in keys[name] for one in own if one.name == wanted)
        size = int(row["bytes"] or 0)
        found.append(Table(name, str(row["engine"]), int(row["estimate"] or 0), size, own, key))
    return tuple(sorted(found, key=lambda one: (one.bytes, one.name)))


class Look:
    """One look at the tables of a database: what time is left, and how quick it is here."""

    def __init__(self, reader: Reader, database: str, wanted: Wanted) -> None:
        self._reader = reader
        self._database = database
        self._end = time.monotonic() + wanted.seconds
        self._like: Mapping[str, TableContent] = {one.name: one for one in wanted.like}
        self._read = 0
        self._spent = 0.0

    @property
    def left(self) -> float:
        return self._end - time.monotonic()

    async def at(self, table: Table) -> TableContent:
        sample = self._sample(table)
        if sample == 0 or self.left <= 0:
            return _not_read(table, "it does not fit in the time given")
        before = time.monotonic()
        sql = self._reader.limited(sum_of(table, self._database, sample), self.left)
        try:
            row = (await self._reader.ask(sql, what=table.name, seconds=self.left))[0]
        except PrivilegeMissing:
            right = f"SELECT ON {quote_ident(self._database, 'mysql')}.{quote_ident(table.name, 'mysql')}"
            return _not_read(table, f"GRANT {right} TO {self._reader.account};")
        except DbdeckError as error:
            return _not_read(table, error.message)
        self._spent += time.monotonic() - before
        self._read += table.bytes
        total = f"{int(row['summed'])}:{int(row['total'] or 0)}"
        return TableContent(
            name=table.name, rows=int(row["counted"]), checksum=total, sample=sample,
            unlogged=table.engine == "MEMORY",
        )  # fmt: skip

    def _sample(self, table: Table) -> int:
        """1: all rows are summed; 0: there is no time even to count them."""
        before = self._like.get(table.name)
        if before is not None and before.checksum:
            return before.sample
        rate = max(self._read / self._spent, _RATE / 10) if self._spent > 0.5 else _RATE
        need, left = table.bytes / rate, self.left * _SURE
        if need <= left:
            return 1
        if need > left * 4:  # what reading alone takes, without the hashes
            return 0
        sample = 2
        while need * (0.25 + 0.75 / sample) > left and sample < 1 << 16:
            sample *= 2
        return sample


def _not_read(table: Table, why: str) -> TableContent:
    return TableContent(
        name=table.name, rows=table.estimate, exact=False, unlogged=table.engine == "MEMORY", why=why
    )


async def contents(reader: Reader, database: str, wanted: Wanted) -> Contents:
    """Raises an Unreachable error where nothing could be read at all."""
    start = time.monotonic()
    look = Look(reader, database, wanted)
    found = [await look.at(table) for table in await tables_of(reader, database)]
    return Contents(
        database=database,
        tables=tuple(sorted(found, key=lambda one: one.name)),
        seconds=round(time.monotonic() - start, 3),
    )


async def select(reader: Reader, sql: str, args: Sequence[object], seconds: float, limit: int) -> Selected:
    """Raises ActionFailed with what the server said."""
    try:
        await reader.begin("start transaction read only")
        await _limit(reader, seconds)
        await reader.begin(f"set session sql_select_limit = {limit + 1:d}")
        rows = await reader.ask(sql, *args, what="the answer", seconds=seconds)
    except DbdeckError as error:
        raise ActionFailed(error.message, error.hint) from None
    found = tuple({name: plain(value) for name, value in row.items()} for row in rows[:limit])
    return Selected(rows=found, truncated=len(rows) > limit)


async def _limit(reader: Reader, seconds: float) -> None:
    """How long the server works on a read at most."""
    if reader.mariadb:
        await reader.begin(f"set session max_statement_time = {max(0.05, seconds):.3f}")
    else:
        await reader.begin(f"set session max_execution_time = {int(max(0.05, seconds) * 1000)}")


async def ask(reader: Reader, sql: str, seconds: float) -> str | None:
    """Raises ActionFailed with what the server said."""
    try:
        await reader.begin("start transaction read only")
        await _limit(reader, seconds)
        rows: list[dict[str, Any]] = await reader.ask(sql, what="the answer", seconds=seconds)
    except DbdeckError as error:
        raise ActionFailed(error.message, error.hint) from None
    return as_text(next(iter(rows[0].values()))) if rows and rows[0] else None


def as_text(value: object) -> str | None:
    """A time is UTC, which is the session's zone."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime):
        return f"{value.isoformat()}+00:00"
    return value.isoformat() if isinstance(value, date) else str(value)
