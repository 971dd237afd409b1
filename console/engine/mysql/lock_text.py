"""Lock lines and record dumps as InnoDB prints them -> the lock in words. Pure.

lock_rec_print() and lock_table_print() in storage/innobase/lock/lock0lock.cc, rec_print() in rem0rec.cc;
the same in MySQL and MariaDB.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import msgspec

from console.engine.mysql.locks import describe
from console.model.deadlocks import LockRef

_RECORDS = re.compile(
    r"RECORD LOCKS space id (?P<space>\d+) page no (?P<page>\d+) n bits \d+ index (?P<index>.+?)"
    r" of table (?P<table>.+) trx id (?P<trx>\d+) lock[_ ]mode (?P<mode>.+?)\s*$"
)
_TABLE = re.compile(r"TABLE LOCK table (?P<table>.+) trx id (?P<trx>\d+) lock[_ ]mode (?P<mode>.+?)\s*$")
_RECORD = re.compile(r"Record lock, heap no (\d+)")
_FIELD = re.compile(r" (\d+): (?:len (\d+); hex ([0-9a-f]*); asc .*?;(?: \(total (\d+) bytes\))?|(SQL NULL))")
_SUPREMUM = 1  # PAGE_HEAP_NO_SUPREMUM in page0types.h
_TRX_ID, _ROLL_PTR = 6, 7  # the lengths of the two system columns that follow a clustered key
_MOST_FIELDS = 8

Heap = tuple[str, str, int]


class Field(msgspec.Struct, frozen=True):
    """A column's first bytes; `total` is its length where not all of it was printed; None is NULL."""

    data: bytes | None
    total: int | None = None


class Record(msgspec.Struct):
    heap: int
    fields: list[Field]


class PrintedLock(msgspec.Struct):
    """A lock line. `owner` is the transaction as the line names it: 0 for MariaDB's that did not write."""

    owner: str
    table: str
    mode: str
    waiting: bool
    index: str | None = None
    page: tuple[str, str] | None = None
    records: list[Record] = []

    def heaps(self) -> set[Heap]:
        return set() if self.page is None else {(*self.page, record.heap) for record in self.records}


def lock_line(line: str) -> PrintedLock | None:
    found = _RECORDS.match(line) or _TABLE.match(line)
    if found is None:
        return None
    parts = found.groupdict()
    mode = parts["mode"]
    return PrintedLock(
        owner=parts["trx"],
        table=parts["table"],
        mode=mode.removesuffix(" waiting"),
        waiting=mode.endswith(" waiting"),
        index=parts.get("index"),
        page=(parts["space"], parts["page"]) if "page" in parts else None,
        records=[],
    )


def add_record_line(lock: PrintedLock, line: str) -> None:
    """A line of the dump that follows a lock; anything else is passed over."""
    if heap := _RECORD.match(line):
        lock.records.append(Record(int(heap[1]), []))
    elif lock.records and (field := _FIELD.match(line)):
        _, _, data, total, null = field.groups()
        value = None if null else bytes.fromhex(data[: len(data) // 2 * 2])
        lock.records[-1].fields.append(Field(value, int(total) if total else None))


def reference(lock: PrintedLock, wanted: Collection[Heap] = ()) -> LockRef:
    """The lock as the lock tree names it. Of many rows the contended one is named: one of `wanted`."""
    row = {"table_name": lock.table, "index_name": lock.index, "data": _rows(lock, wanted)}
    return LockRef(object=describe(row), mode=lock.mode)


def _rows(lock: PrintedLock, wanted: Collection[Heap]) -> str:
    records = [one for one in lock.records if lock.page and (*lock.page, one.heap) in wanted] or lock.records
    if len(records) != 1:
        return f"{len(records)} rows" if records else ""
    if records[0].heap == _SUPREMUM:
        return "supremum pseudo-record"
    return ", ".join(shown(field) for field in key_fields(records[0].fields)[:_MOST_FIELDS])


def key_fields(fields: list[Field]) -> list[Field]:
    """Those of the key: a clustered index has its two system columns after it."""
    for place in range(1, len(fields) - 1):
        lengths = tuple(len(one.data or b"") for one in fields[place : place + 2])
        if lengths == (_TRX_ID, _ROLL_PTR):
            return fields[:place]
    return fields


def shown(field: Field) -> str:
    """A column without its type, which the dump does not tell: text where it can be read, a number where
    it is small whether signed or unsigned, else the bytes.
    """
    data = field.data
    if data is None:
        return "NULL"
    if field.total is None and (number := _number(data)) is not None:
        return str(number)
    text = data.decode("ascii", "replace")
    if text.isprintable() and data.isascii():
        return "'" + text.replace("'", "''") + ("…" if field.total else "") + "'"
    return "0x" + data.hex() + ("…" if field.total else "")


def _number(data: bytes) -> int | None:
    """InnoDB stores integers big-endian and signed ones with the sign bit flipped: 80 00 00 2a is 42."""
    if len(data) not in (1, 2, 3, 4, 8):
        return None
    high, rest = data[0], int.from_bytes(data[1:], "big")
    if (len(data) > 2 and high == 0) or (len(data) == 2 and high < 0x08):
        return int.from_bytes(data, "big")
    return rest if high == 0x80 and len(data) > 1 else None


def wanted_heaps(locks: Iterable[PrintedLock]) -> set[Heap]:
    return {heap for lock in locks if lock.waiting for heap in lock.heaps()}
