"""The archives of pg_dump: their header and table of contents, read without running anything.

The format is that of PostgreSQL's pg_backup_archiver.c (ReadHead, ReadToc), from archive version 1.12 (9.0)
to 1.16 (17 and 18). It is the same in a custom file, in a directory's toc.dat and in a tar's first member.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tarfile
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from console.errors import ActionFailed

MAGIC = b"PGDMP"
FORMATS = {1: "custom", 3: "tar", 5: "directory"}
COMPRESSIONS = {0: "none", 1: "gzip", 2: "lz4", 3: "zstd"}
_LONGEST = 256 << 20  # no string of a table of contents is longer
_NEWEST = (1, 16)
_TAR_END = 1024  # two blocks of zeros
CUT = "it was cut off: the end of the tar file is missing"
_MAJOR = re.compile(r"\s*(\d+)")
_ENCODING = re.compile(r"client_encoding\s*=\s*'([^']+)'")


class Entry(NamedTuple):
    """One item. `bytes` is what its data take in the archive; 0 where it has none, None is unknown."""

    number: int
    kind: str  # TABLE DATA, INDEX, …
    schema: str
    name: str
    definition: str
    owner: str
    file: str = ""  # of a directory or tar
    offset: int | None = None  # in a custom file
    bytes: int | None = 0

    @property
    def label(self) -> str:
        """As people say it: `view shop.daily`."""
        full = f"{self.schema}.{self.name}" if self.schema else self.name
        return f"{self.kind.lower()} {full}"


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is the archive's own. `created_at` is by the clock and the zone of the machine that dumped,
    which is not told. `server` and `tool` are the versions of PostgreSQL and of pg_dump.
    """

    version: tuple[int, int]
    format: str
    compression: str
    created_at: datetime
    database: str
    server: str
    tool: str
    entries: tuple[Entry, ...] = ()
    fault: str = ""  # why it cannot be read to its end, as far as that is seen without reading the data

    @property
    def server_major(self) -> int | None:
        return major(self.server)

    @property
    def tool_major(self) -> int | None:
        return major(self.tool)

    @property
    def encoding(self) -> str:
        found = next(
            (_ENCODING.search(one.definition) for one in self.entries if one.kind == "ENCODING"), None
        )
        return found[1] if found else ""

    @property
    def database_statement(self) -> str:
        """CREATE DATABASE as it was."""
        return next((one.definition for one in self.entries if one.kind == "DATABASE"), "")

    @property
    def extensions(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.entries if one.kind == "EXTENSION")


def major(version: str) -> int | None:
    found = _MAJOR.match(version)
    return int(found[1]) if found else None


def read(path: Path) -> Archive | None:
    """None for what is no archive of pg_dump. Raises ActionFailed for one whose header is damaged."""
    if path.is_dir():
        toc = path / "toc.dat"
        if not toc.is_file():
            return None
        with toc.open("rb") as file:
            found = msgspec.structs.replace(_parsed(file, str(path)), format="directory")  # it says tar
            return _sized_by_files(found, path)
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        if head.startswith(MAGIC):
            return _sized_by_offsets(_parsed(file, str(path)), path.stat().st_size)
        if head[257:262] == b"ustar" and head.startswith(b"toc.dat\0"):
            return _from_tar(path, file)
    return None


def _from_tar(path: Path, file: IO[bytes]) -> Archive:
    try:
        with tarfile.open(fileobj=file) as tar:
            toc = tar.extractfile(tar.next() or tarfile.TarInfo())
            if toc is None:
                raise ActionFailed(f"{path}: the table of contents cannot be read")
            found = _parsed(toc, str(path))
            members = dict(_members(tar))
            end = max((one.offset_data + one.size for one in members.values()), default=0)
            if path.stat().st_size < end + _TAR_END:
                found = msgspec.structs.replace(found, fault=CUT)
            return _sized(found, {name: one.size for name, one in members.items()})
    except tarfile.TarError as error:
        raise ActionFailed(f"{path} is a damaged tar file: {error}") from None


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """As many as there are; a tar that was cut off has fewer."""
    while True:
        try:
            member = tar.next()
        except (tarfile.TarError, OSError):
            return
        if member is None:
            return
        yield member.name, member


def _sized_by_files(found: Archive, folder: Path) -> Archive:
    sizes = {}
    for one in os.scandir(folder):
        base = one.name
        for ending in (".gz", ".lz4", ".zst"):
            base = base.removesuffix(ending)
        sizes[base] = one.stat().st_size
    return _sized(found, sizes)


def _sized(found: Archive, sizes: dict[str, int]) -> Archive:
    """A tar has no such file for large objects, but one for each."""
    entries = tuple(
        one._replace(bytes=sizes.get(one.file, 0 if found.format == "tar" and one.kind == "BLOBS" else None))
        if one.file
        else one
        for one in found.entries
    )
    return msgspec.structs.replace(found, entries=entries)


def _sized_by_offsets(found: Archive, total: int) -> Archive:
    """Data blocks lie one after the other: each ends where the next begins. There may be none."""
    starts = sorted({one.offset for one in found.entries if one.offset is not None})
    ends = dict(pairwise([*starts, total]))
    entries = tuple(
        one if one.offset is None else one._replace(bytes=max(0, ends[one.offset] - one.offset))
        for one in found.entries
    )
    return msgspec.structs.replace(found, entries=entries)


# ---- reading -----------------------------------------------------------------------------------


class _Reader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.version = (0, 0)
        self.int_size = 4
        self.offset_size = 8

    def bytes(self, count: int) -> bytes:
        if not 0 <= count <= _LONGEST:
            raise ValueError("a length that cannot be")
        found = self._file.read(count)
        if len(found) != count:
            raise ValueError("it ends in the middle")
        return found

    def byte(self) -> int:
        return self.bytes(1)[0]

    def int(self) -> int:
        sign, value = self.byte(), self.bytes(self.int_size)
        number = int.from_bytes(value, "little")
        return -number if sign else number

    def text(self) -> str | None:
        length = self.int()
        return None if length < 0 else self.bytes(length).decode("utf-8", "replace")

    def string(self) -> str:
        return self.text() or ""


def _parsed(file: IO[bytes], name: str) -> Archive:
    reader = _Reader(file)
    try:
        found = _head(reader)
    except (ValueError, struct.error, OverflowError) as error:
        raise ActionFailed(f"{name}: its header is damaged: {error}") from None
    if found.version > _NEWEST:
        return msgspec.structs.replace(
            found,
            fault=f"its table of contents is of a newer version ({found.version[0]}.{found.version[1]})",
        )
    entries: list[Entry] = []
    fault = ""
    try:
        entries.extend(_entry(reader, found.format) for _ in range(reader.int()))
    except (ValueError, OSError) as error:
        fault = f"its table of contents is damaged: {error}"
    return msgspec.structs.replace(found, entries=tuple(entries), fault=fault)


def _head(reader: _Reader) -> Archive:
    if reader.bytes(5) != MAGIC:
        raise ValueError("it does not begin as an archive of pg_dump does")
    version = (reader.byte(), reader.byte())
    reader.byte()  # revision
    reader.version = version
    reader.int_size, reader.offset_size = reader.byte(), reader.byte()
    kind = reader.byte()
    if kind not in FORMATS or version < (1, 12) or not 1 <= reader.int_size <= 8:
        raise ValueError(f"an archive of version {version[0]}.{version[1]} and format {kind} is not known")
    if version >= (1, 15):
        compression = COMPRESSIONS.get(reader.byte(), "unknown")
    else:
        compression = "gzip" if reader.int() else "none"
    second, minute, hour, day, month, year, _ = (reader.int() for _ in range(7))
    created = datetime(year + 1900, month + 1, day, hour, minute, min(second, 59)).astimezone()
    database, server, tool = reader.string(), reader.string(), reader.string()
    return Archive(
        version=version,
        format=FORMATS[kind],
        compression=compression,
        created_at=created,
        database=database,
        server=server,
        tool=tool,
    )


def _entry(reader: _Reader, form: str) -> Entry:
    number = reader.int()
    reader.int()  # whether it had a dumper
    reader.text(), reader.text()  # oids of its catalog and of itself
    name, kind = reader.string(), reader.string()
    reader.int()  # section
    definition = reader.string()
    reader.text(), reader.text()  # how it is dropped and copied
    schema = reader.string()
    reader.text()  # tablespace
    if reader.version >= (1, 14):
        reader.text()  # access method
    if reader.version >= (1, 16):
        reader.int()  # kind of relation
    owner = reader.string()
    reader.text()  # whether with oids
    while reader.text() is not None:  # what it depends on
        pass
    file, offset = "", None
    if form == "custom":
        offset = _offset(reader)
    else:
        file = reader.string()
    return Entry(number, kind, schema, name, definition, owner, file, offset)


def _offset(reader: _Reader) -> int | None:
    """K_OFFSET_POS_SET is 2; without it nobody knows where the data lie."""
    state, position = reader.byte(), int.from_bytes(reader.bytes(reader.offset_size), "little")
    return position if state == 2 else None
