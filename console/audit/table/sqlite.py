"""The ledger in a SQLite file: WAL, synchronous=FULL, one writer at a time.

There is no server here: time, login and address are the writer's own word. All work is done in
threads, so that a slow disk does not stop the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from console.audit.mounts import network_note
from console.audit.one_thread import OneThread
from console.audit.record import Entry, Row
from console.audit.table.port import (
    COLUMNS,
    VERSION,
    Alive,
    Candidate,
    NotTaken,
    Query,
    Undecided,
    Unreadable,
    in_time,
    readable,
    sql,
    to_entry,
    unreadable,
)
from console.audit.table.sqlite_rows import action_of, existing, insert, prepare, repair
from console.errors import AuditMissing, AuditUnavailable
from console.named_file import refuse_no_file
from console.os_user import os_user

_CHUNK: Final = 1000
_CLOSE_SECONDS: Final = 1.0
_REDACT: Final = "update entry set body = null where writer = ? and seq = ? and body is not null"
_PAGE: Final = f"select {', '.join(COLUMNS)} from entry where id > ? order by id limit {_CHUNK}"  # noqa: S608 - our own
_LOWEST: Final = float("-inf")  # below the smallest id that there can be
_ID: Final = COLUMNS.index("id")
T = TypeVar("T")


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class SqliteTable:
    """One file; `close` it. A write connection is kept only when asked for; reads open their own."""

    def __init__(self, path: Path, deadline: float, alive: Alive) -> None:
        self.path = path
        self.ledger = UUID(int=0)
        self.notes: tuple[str, ...] = ()
        self.created = False
        self._deadline = deadline
        self._alive = alive
        self._writing: sqlite3.Connection | None = None
        self._inode = -1
        self._user = ""
        self._patience = 0.0  # seconds that the connection waits for another writer
        self._appending = OneThread(f"ledger {path}")
        self._one_at_a_time = threading.Lock()

    async def open(self, *, write: bool) -> None:
        """Opening to write creates what is absent. Raises AuditUnavailable."""
        try:
            await self._ask(self._open_to_write if write else self._identify)
        except BaseException:
            await self.close()
            raise

    async def append(self, row: Row) -> Entry:
        try:
            return await in_time(self._deadline, self._appending.ask(lambda: self._append(row)))
        except TimeoutError:
            raise Undecided(f"no answer in {self._deadline:g} s") from None
        except sqlite3.Error as error:
            raise NotTaken(str(error)) from None

    async def find_idempotency(self, key: str) -> UUID | None:
        return await self._ask(lambda: self._find_action("idempotency_key = ?", (key,)))

    async def entries(self, query: Query) -> list[Entry]:
        return await self._ask(lambda: self._entries(query))

    async def chunks(self, above: int | None = None) -> AsyncGenerator[list[Entry | Unreadable], None]:
        connection = await self._ask(self._connect_to_read)
        try:
            connection.row_factory = None  # a look by name costs more than the whole conversion
            connection.execute("begin")  # one moment for all pages
            page = partial(_page, connection, _LOWEST if above is None else above)
            while rows := await self._ask(page):
                yield [readable(row) for row in rows]
                page = partial(_page, connection, rows[-1][_ID])
        finally:
            connection.close()

    async def count(self, up_to: int) -> int:
        return await self._ask(lambda: self._count(up_to))

    async def candidates(self) -> list[Candidate]:
        return await self._ask(self._candidates)

    async def approvals(self, action: UUID) -> list[Entry]:
        query = Query(action_id=action, kinds=("approval",), newest_first=False)
        return await self._ask(lambda: self._entries(query))

    async def redact(self, writer: UUID, seq: int) -> bool:
        return await self._ask(lambda: self._redact(writer, seq))

    async def moment(self) -> datetime:
        return datetime.now(UTC)

    async def answers(self) -> bool:
        await self._ask(self.path.stat)
        return True

    async def hold_writer_lock(self, writer: UUID) -> None:
        """The lock is the one of the writer's journal."""

    async def repair(self) -> list[str]:
        """Triggers as this dbdeck makes them; what was made anew."""
        return await self._ask(self._repair)

    def _repair(self) -> list[str]:
        with self._one_at_a_time:
            if self._writing is None:
                raise sqlite3.OperationalError("it is not open for writing")
            return repair(self._writing)

    def hurry(self, seconds: float) -> None:
        self._deadline = seconds

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def _ask(self, question: Callable[[], T]) -> T:
        """Raises AuditUnavailable naming the file."""
        try:
            return await in_time(self._deadline, asyncio.to_thread(question))
        except TimeoutError:
            raise self._unavailable(f"no answer in {self._deadline:g} s") from None
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(_reason(error)) from None

    def _unavailable(self, reason: str, hint: str = "") -> AuditUnavailable:
        return AuditUnavailable(f"the ledger sqlite://{self.path} cannot be used: {reason}", hint)

    def _close(self) -> None:
        """A commit that hangs keeps its connection: nobody was told what became of it, and the file tells."""
        if not self._one_at_a_time.acquire(timeout=_CLOSE_SECONDS):
            return
        try:
            if self._writing is not None:
                self._writing.close()
                self._writing = None
        finally:
            self._one_at_a_time.release()

    def _open_to_write(self) -> None:
        self.created = _create_file(self.path)
        self._refuse_unsafe()
        connection = sqlite3.connect(
            self.path,
            timeout=self._deadline * 0.8,  # before the client-side deadline: a sure answer
            isolation_level=None,
            check_same_thread=False,
        )
        self._writing = connection
        connection.row_factory = sqlite3.Row
        prepare(connection, time.monotonic() + self._deadline * 0.8)
        self._inode = self.path.stat().st_ino
        self._user = os_user()
        self._identify()
        note = network_note("the ledger", self.path)
        self.notes = (note,) if note else ()

    def _refuse_no_file(self) -> None:
        try:
            refuse_no_file(self.path)
        except OSError as error:
            raise self._unavailable(_reason(error)) from None

    def _refuse_unsafe(self) -> None:
        self._refuse_no_file()
        if not os.access(self.path, os.W_OK) or not os.access(self.path.parent, os.W_OK):
            raise self._unavailable("it or its folder is read-only here")
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode & 0o077:
            raise self._unavailable(f"others may use it (mode {mode:04o})", "chmod 0600 it")

    def _identify(self) -> None:
        if not self.path.exists():
            raise AuditMissing(
                self._unavailable("there is none yet").message, "create it with: dbdeck audit init"
            )
        self._refuse_no_file()
        with self._read() as connection:
            found = connection.execute("select id, version from ledger").fetchone()
        if found is None or found["version"] > VERSION:
            raise self._unavailable("it was made by another version of dbdeck")
        self.ledger = UUID(found["id"])

    def _connect_to_read(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=ro",
            uri=True,
            timeout=self._deadline * 0.8,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        return connection

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(self._connect_to_read()) as connection:
            yield connection

    def _append(self, row: Row) -> Entry:
        with self._one_at_a_time:
            connection = self._writing
            if connection is None:
                raise NotTaken("it is not open for writing")
            self._check_file()
            self._be_patient(connection)
            connection.execute("begin immediate")
            try:
                entry = existing(connection, row) or insert(connection, row, self._user)
                connection.execute("commit")
            finally:
                # A failed commit is no commit: SQLite shows nobody any of it.
                if connection.in_transaction:
                    connection.execute("rollback")
            return entry

    def _be_patient(self, connection: sqlite3.Connection) -> None:
        """Until shortly before the client-side deadline: a sure answer."""
        if self._patience != self._deadline:
            connection.execute(f"pragma busy_timeout = {int(self._deadline * 800)}")
            self._patience = self._deadline

    def _check_file(self) -> None:
        """SQLite goes on writing happily into a file that was deleted under it."""
        try:
            inode = self.path.stat().st_ino
        except OSError as error:
            raise NotTaken(_reason(error)) from None
        if inode != self._inode:
            raise NotTaken("the file was replaced while in use")

    def _find_action(self, where: str, values: tuple[str, ...]) -> UUID | None:
        with self._read() as connection:
            return action_of(connection, where, values)

    def _entries(self, query: Query) -> list[Entry]:
        with self._read() as connection:
            return [to_entry(row) for row in _rows(connection, *asked(query))]

    def _redact(self, writer: UUID, seq: int) -> bool:
        with self._one_at_a_time:
            if self._writing is None:
                raise sqlite3.OperationalError("it is not open for writing")
            self._writing.execute("pragma secure_delete = on")  # else the text stays in free pages
            gone = self._writing.execute(_REDACT, (str(writer), seq)).rowcount
            self._writing.execute("pragma wal_checkpoint(truncate)")
            return gone == 1

    def _count(self, up_to: int) -> int:
        with self._read() as connection:
            found = connection.execute("select count(*) from entry where +id <= ?", (up_to,)).fetchone()
            return int(found[0])

    def _candidates(self) -> list[Candidate]:
        with self._read() as connection:
            found = _rows(connection, sql("sqlite_candidates.sql"))
        intents = [(to_entry(row), _outcome(row)) for row in found]
        return [
            Candidate(intent=intent, outcome=outcome, alive=self._alive(intent.writer))
            for intent, outcome in intents
        ]


_CONDITIONS: Final = {
    "action_id": "action_id = :action_id",
    "parent": "parent = :parent",
    "kinds": "instr(:kinds, ',' || kind || ',')",
    "containing": "instr(body, :containing)",
}


def asked(query: Query) -> tuple[str, Mapping[str, object]]:
    """The statement with the conditions that there are, and its values: SQLite finds no row by an index where
    one may be left out.
    """
    values = {
        "action_id": str(query.action_id) if query.action_id else None,
        "parent": str(query.parent) if query.parent else None,
        "kinds": f",{','.join(query.kinds)}," if query.kinds is not None else None,
        "containing": query.containing,
    }
    where = " and ".join(text for name, text in _CONDITIONS.items() if values[name] is not None)
    order = "desc" if query.newest_first else "asc"
    text = sql("sqlite_entries.sql").format(where=where or "true", order=order)
    return text, {**values, "limit": -1 if query.limit is None else query.limit}


def _page(connection: sqlite3.Connection, after: float) -> list[tuple[Any, ...]]:
    """A text that is no UTF-8 keeps no others from being read: its hash tells that it is not its own."""
    return _rows(connection, _PAGE, (after,), lambda data: data.decode(errors="replace"))


def _rows(
    connection: sqlite3.Connection,
    text: str,
    values: Sequence[object] | Mapping[str, object] = (),
    otherwise: Callable[[bytes], str | bytes] = _text_or_bytes,
) -> list[Any]:
    """`otherwise`: what texts are where one of them is no UTF-8; a row with bytes for a text can be named."""
    try:
        return connection.execute(text, values).fetchall()
    except sqlite3.OperationalError as error:
        if not str(error).startswith("Could not decode"):
            raise
    connection.text_factory = otherwise
    try:
        return connection.execute(text, values).fetchall()
    finally:
        connection.text_factory = str


def _outcome(row: sqlite3.Row) -> str | None:
    """Raises LedgerFault for one that is no text."""
    found = row["outcome"]
    if found is None or isinstance(found, str):
        return found
    raise unreadable(Unreadable(row["outcome_id"], "its body is no text"))


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _create_file(path: Path) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


async def install_sqlite(path: Path, deadline: float) -> list[str]:
    """Raises AuditUnavailable."""
    table = SqliteTable(path, deadline, lambda _: False)
    try:
        await table.open(write=True)
        mended = await table.repair()
    finally:
        await table.close()
    return [*([f"the ledger file {path}"] if table.created else []), *mended]
