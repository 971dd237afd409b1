"""What the SQLite ledger does inside one connection: its schema, and one row."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from console.audit import chain
from console.audit.record import Entry, Kind, Row, iso
from console.audit.table.port import Duplicate, NotTaken, sealed, sql, to_entry

PEER: Final = "local"
_PAUSE_SECONDS: Final = 0.01
_HALF: Final = "select count(*) from sqlite_master where type = 'table' and name in ('ledger', 'entry')"
_COMPLETE: Final = "select 1 from sqlite_master where name = 'entry_no_replace'"
_BEFORE: Final = "select seq, link from entry where writer = ? and seq <= ? order by seq desc limit 1"
_STORED: Final = """select at, writer, seq, kind, action_id, parent, idempotency_key, body, body_hash,
    prev, link, witness, db_user, peer, seal, id from entry where writer = ? and seq = ?"""


def prepare(connection: sqlite3.Connection, until: float) -> None:
    """Durable mode, and the schema where it is missing. `until`: time.monotonic() seconds.

    Raises sqlite3.Error.
    """
    while not _is_wal(connection):
        # Two that open a new file at once: SQLite does not wait by itself for this change.
        if time.monotonic() > until:
            raise sqlite3.OperationalError("database is locked")
        time.sleep(_PAUSE_SECONDS)
    connection.execute("pragma synchronous = full")
    if connection.execute(_HALF).fetchone()[0] == 1:  # they are made in one transaction
        raise sqlite3.DatabaseError("somebody dropped one of its tables; restore the file from a backup")
    if connection.execute(_COMPLETE).fetchone() is None:
        connection.executescript(f"begin immediate; {sql('sqlite.sql')}; commit;")


def definitions(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """(table, index or trigger; name) to the statement that made it."""
    rows = connection.execute(
        "select type, name, sql from sqlite_master where sql is not null and name not like 'sqlite_%'"
    )
    return {(kind, name): text for kind, name, text in rows}


def as_made() -> dict[tuple[str, str], str]:
    """As SQLite itself keeps what dbdeck asks for."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(sql("sqlite.sql"))
        return definitions(connection)


def repair(connection: sqlite3.Connection) -> list[str]:
    """Make triggers anew that are not as this dbdeck makes them, in one transaction."""
    there = definitions(connection)
    made = as_made()
    other = [name for (kind, name), text in made.items()
             if kind == "trigger" and there.get((kind, name)) != text]  # fmt: skip
    if other:
        drops = "".join(f"drop trigger if exists {name};" for name in other)
        connection.executescript(f"begin immediate; {drops} {sql('sqlite.sql')}; commit;")
    return [f"trigger {name}, which was missing or another one" for name in other]


def _is_wal(connection: sqlite3.Connection) -> bool:
    try:
        return connection.execute("pragma journal_mode = wal").fetchone()[0] == "wal"  # type: ignore[no-any-return]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False


def existing(connection: sqlite3.Connection, row: Row) -> Entry | None:
    """The row itself, if an earlier attempt got through. Raises NotTaken."""
    found = connection.execute(_BEFORE, (str(row.writer), row.seq)).fetchone()
    seq, link = found or (0, chain.START)
    if seq == row.seq:
        if link == row.link:
            return _at(connection, row.writer, row.seq)
        raise NotTaken(f"row {row.seq} of this writer is another one")
    if seq != row.seq - 1 or link != row.prev:
        raise NotTaken(f"row {row.seq - 1} of this writer is missing or another one")
    return None


def insert(connection: sqlite3.Connection, row: Row, user: str) -> Entry:
    """Raises NotTaken, Duplicate. The look comes first: the indexes that say the same may be gone."""
    _refuse_second(connection, row)
    newest = connection.execute("select seal from entry order by id desc limit 1").fetchone()
    witness = newest["seal"] if newest else chain.START
    now = datetime.now(UTC)
    seal = chain.seal(row.link, witness, now, user, PEER)
    own = (getattr(row, name) for name in Row.__struct_fields__)
    values = (iso(now), *map(_bind, own), witness, user, PEER, seal)
    connection.execute(sql("sqlite_insert.sql"), values)
    stored = connection.execute(_STORED, (str(row.writer), row.seq)).fetchone()
    if stored is None:
        raise NotTaken("the row was swallowed")
    *kept, number = stored
    if tuple(kept) != values:
        raise NotTaken("the row was altered on its way")
    added = {"id": number, "at": now, "witness": witness, "db_user": user, "peer": PEER, "seal": seal}
    return sealed(row, added)


def _refuse_second(connection: sqlite3.Connection, row: Row) -> None:
    """Raises Duplicate."""
    if row.kind in (Kind.INTENT, Kind.OUTCOME):
        where = "action_id = ? and kind = ?"
        if found := action_of(connection, where, (str(row.action_id), row.kind)):
            raise Duplicate(f"an {row.kind} of this action", found)
    if not row.idempotency_key:
        return
    if found := action_of(connection, "idempotency_key = ?", (row.idempotency_key,)):
        raise Duplicate("this idempotency key", found)


def _bind(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


def _at(connection: sqlite3.Connection, writer: UUID, seq: int) -> Entry:
    select = "select * from entry where writer = ? and seq = ?"
    return to_entry(connection.execute(select, (str(writer), seq)).fetchone())


def action_of(connection: sqlite3.Connection, where: str, values: tuple[str, ...]) -> UUID | None:
    select = f"select action_id from entry where {where}"  # noqa: S608 - our own literals
    row = connection.execute(select, values).fetchone()
    return UUID(row["action_id"]) if row else None
