"""The local journal: one append-only file a writer, fsynced before anything is done.

Lines are JSON objects with one key:

    {"journal": {...}}   first line: version, ledger id, sink, writer
    {"row": {...}}       a row, written and fsynced while the table is asked to take it
    {"ack": {...}}       the table has it: a receipt; not fsynced by itself, the next row does it
    {"void": {...}}      the table has definitely not taken it; its seq is used again

A row with neither ack nor void is one whose fate the writer did not live to see. It proves nothing
against the table; a row with an ack does. A crash can damage only the end of a file, so damaged
last lines are a crash and damaged lines before a good one are a fault.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self
from uuid import UUID

import msgspec

from console.audit.mounts import network_note, refuse_memory
from console.audit.record import Entry, Row, canonical_json, encode
from console.errors import AuditUnavailable

VERSION: Final = 1
CLOSE_SECONDS: Final = 0.5
SUFFIX: Final = ".ndjson"
GLASS: Final = ".glass.ndjson"  # of a writer that had no table: see `glass`
_LINE: Final = msgspec.json.Encoder(order="sorted")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Whose journal it is and of which ledger; both its id and its address find it again. `glass`: its rows
    are in no table until they are merged.
    """

    writer: UUID
    ledger: UUID
    sink: str
    version: int = VERSION
    glass: bool = False


class Journal:
    """An open journal; its flock, held for life, shows others on this host that the writer lives.

    Blocking: call it off the event loop. `note` warns of a folder on a network file system.
    """

    def __init__(self, path: Path, descriptor: int, note: str) -> None:
        self.path = path
        self.note = note
        self._name = os.fspath(path)
        self._descriptor = descriptor
        self._size = 0
        self._one_at_a_time = threading.Lock()
        self._inode = os.fstat(descriptor).st_ino

    @classmethod
    def create(cls, folder: Path, header: Header) -> Self:
        """Raises AuditUnavailable naming the path and the reason."""
        path = place(folder, header.writer, glass=header.glass)
        try:
            _make_folder(folder)
            refuse_memory(folder)
            note = network_note("the audit journal", folder)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise unusable(path, error.strerror or str(error)) from None
        journal = cls(path, descriptor, note)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            journal._write("journal", encode_header(header), sync=True)
            _sync_folder(folder)
        except OSError as error:
            journal.close()
            raise unusable(path, error.strerror or str(error)) from None
        except AuditUnavailable:
            journal.close()
            raise
        return journal

    def row(self, row: Row) -> None:
        """On return the row is on the disk. Raises AuditUnavailable; then the file is as before."""
        self._write("row", encode(row), sync=True)

    def ack(self, entry: Entry) -> None:
        """The table has the row. Never raises: the row is safe, and the next one will complain."""
        with contextlib.suppress(AuditUnavailable):
            self._write("ack", encode_ack(entry), sync=False)

    def void(self, row: Row, reason: str) -> None:
        """The table has refused the row; never raises, like `ack`."""
        lost = {"seq": row.seq, "link": row.link.hex(), "reason": reason}
        with contextlib.suppress(AuditUnavailable):
            self._write("void", lost, sync=False)

    def close(self) -> None:
        """Frees the lock. Idempotent. While a disk hangs, what was begun keeps the file."""
        if not self._one_at_a_time.acquire(timeout=CLOSE_SECONDS):
            return
        try:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        finally:
            self._one_at_a_time.release()

    def _write(self, what: str, value: Mapping[str, object], *, sync: bool) -> None:
        line = encode_line(what, value)
        with self._one_at_a_time:
            self._check()
            try:
                _write_all(self._descriptor, line)
                if sync:
                    os.fsync(self._descriptor)
            except OSError as error:
                # Take back a torn line. Where that fails too, the size tells the next append.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
                raise unusable(self.path, error.strerror or str(error)) from None
            self._size += len(line)

    def check(self) -> None:
        """Somebody may have deleted, replaced, cut or extended the file under us. Raises AuditUnavailable."""
        with self._one_at_a_time:
            self._check()

    def _check(self) -> None:
        if self._descriptor < 0:
            raise unusable(self.path, "it is closed")
        try:
            ours, there = os.fstat(self._descriptor), os.stat(self._name)  # noqa: PTH116 - a third of the time
        except OSError as error:
            raise unusable(self.path, error.strerror or str(error)) from None
        if not ours.st_nlink or there.st_ino != self._inode or there.st_dev != ours.st_dev:
            raise unusable(self.path, "it was deleted or replaced while in use")
        if ours.st_size != self._size:
            raise unusable(self.path, "its end is torn, or somebody else wrote to it")


def place(folder: Path, writer: UUID, *, glass: bool = False) -> Path:
    return folder / f"{writer}{GLASS if glass else SUFFIX}"


def journal_of(folder: Path, writer: UUID) -> Path:
    """Where the writer's journal is; where it would be, when there is none."""
    glass = place(folder, writer, glass=True)
    return glass if glass.exists() else place(folder, writer)


def unusable(path: Path, reason: str) -> AuditUnavailable:
    return AuditUnavailable(
        f"the audit journal {path} cannot be used: {reason}",
        "audit.journal must name a folder of your own (mode 0700) on a local disk with room",
    )


def encode_header(header: Header) -> dict[str, object]:
    return {name: getattr(header, name) for name in header.__struct_fields__}


def encode_ack(entry: Entry) -> dict[str, object]:
    return {"seq": entry.seq, "link": entry.link.hex(), "id": entry.id, "seal": entry.seal.hex()}


def encode_line(what: str, value: Mapping[str, object]) -> bytes:
    """The text of canonical_json, in a fifth of its time: of text, whole numbers and ids, as lines have."""
    try:
        return _LINE.encode({what: value}) + b"\n"
    except UnicodeEncodeError:
        return canonical_json({what: value}).encode() + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _make_folder(folder: Path) -> None:
    """Create it 0700 and durable. Raises OSError; PermissionError for one that others may enter: its owner,
    too, where root came into it, may put another journal in the place of root's.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(path.parent)
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        raise PermissionError(0, f"its folder belongs to somebody else (uid {found.st_uid})")
    if mode & 0o077:
        raise PermissionError(0, f"others may enter its folder (mode {mode:04o}); chmod 0700 it")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def alive(folder: Path, writer: UUID) -> bool:
    """The writer's journal is here and locked: its process runs on this host."""
    try:
        # A pipe in its place has nobody who opens the other end.
        descriptor = os.open(journal_of(folder, writer), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
