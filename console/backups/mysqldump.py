"""Dumps of mysqldump and mariadb-dump: one file of SQL each, plain or packed, or a folder with `dump.sql`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from console.backups import manifest
from console.backups.mysql_text import HEAD_BYTES, NO_ACCOUNTS, Head, Sections, read_head, scan
from console.backups.tools import size_of
from console.backups.unpacking import PACKED, beginning, packing, unpacked
from console.errors import ActionFailed
from console.model.backups import Backup, DrillRule, Method, Source
from console.model.inventory import Manifest

INSIDE = "dump.sql"  # of a folder that `backup.take` made
USERS = "users.sql"  # accounts beside the dump, where the dump cannot hold them
_NAMES = (".sql", *(f".sql{suffix}" for suffix in PACKED))
_READ_WHOLE = 64 << 20  # bytes of a file that are read only to be listed
_STAMP = re.compile(r"(20\d\d)-?(\d\d)-?(\d\d)[T_. -]?(\d\d)[:.h-]?(\d\d)(?:[:.m-]?(\d\d))?(Z)?")
_ZONE_STEP = 900  # seconds: every zone is off UTC by a multiple of this
_NEAR = 120  # seconds between a dump's last line and the last write to its file

_scanned: dict[tuple[str, int, int], Sections] = {}


class Moment(NamedTuple):
    """When a dump began and ended, and how its beginning is known; empty where it is certain."""

    began: datetime | None
    ended: datetime | None
    doubt: str


async def find(name: str, source: Source, rule: DrillRule) -> tuple[Backup, ...]:  # noqa: ARG001 - the port
    """Raises OSError where the folder cannot be read."""
    return await asyncio.to_thread(_find, name, source.path)


def _find(name: str, folder: str) -> tuple[Backup, ...]:
    found = (_look(name, entry) for entry in sorted(Path(folder).expanduser().iterdir()))
    return tuple(one for one in found if one is not None)


def dump_of(entry: Path) -> Path | None:
    """The file with the dump: the entry itself, or what is in a folder; None where there is none."""
    if entry.is_dir():
        inside = [entry / f"{INSIDE}{suffix}" for suffix in ("", *PACKED)]
        return next((one for one in inside if one.is_file()), None)
    return entry if entry.is_file() and entry.name.endswith(_NAMES) else None


def _look(source: str, entry: Path) -> Backup | None:
    path = dump_of(entry)
    if path is None:
        return None
    size, files = size_of(entry)
    backup = Backup(
        source=source, id=entry.name, method=Method.MYSQLDUMP, path=str(entry), bytes=size, files=files
    )
    if fault := packing(path).fault:
        return msgspec.structs.replace(backup, faults=(fault,))
    head, known = head_of(path), _manifest(entry)
    if head is None:
        return None if size else msgspec.structs.replace(backup, faults=("it is empty",))
    sections, fault = None, ""
    if path.stat().st_size <= _READ_WHOLE:
        try:
            sections = sections_of(path)
        except ActionFailed as error:
            fault = error.message
    backup = _described(backup, entry, head, sections, known)
    return msgspec.structs.replace(backup, faults=(fault,), notes=backup.notes[:1]) if fault else backup


def _manifest(entry: Path) -> Manifest | None:
    """A manifest that cannot be read is told where it is compared with."""
    try:
        return manifest.read(entry)
    except ActionFailed:
        return None


def _described(
    backup: Backup, entry: Path, head: Head, sections: Sections | None, known: Manifest | None
) -> Backup:
    path = dump_of(entry) or entry
    when = moment(path, sections.completed_on if sections else "", known)
    databases = sections.databases if sections else []
    notes = sections.notes if sections else ("too large to be read for this list: a drill reads it whole",)
    if (entry / USERS).is_file():
        notes = tuple(note for note in notes if note != NO_ACCOUNTS)
    return msgspec.structs.replace(
        backup,
        started_at=when.began,
        ended_at=when.ended,
        version=head.version,
        server=head.server,
        databases=tuple(databases) or ((head.database,) if head.database else ()),
        format=path.name.partition(".")[2] if entry.is_dir() else path.suffix.lstrip("."),
        label=position_words(head, sections),
        manifest=str(manifest.place(entry)) if known else "",
        faults=("cut off or failed: its last line, `-- Dump completed`, is not there",)
        if sections and sections.comments and not sections.completed
        else (),
        notes=(*([when.doubt] if when.doubt else []), *notes, *_no_position(head, sections)),
    )


def _no_position(head: Head, sections: Sections | None) -> tuple[str, ...]:
    told = head.position or head.gtid or (sections and (sections.position or sections.gtid))
    return () if told else ("no position of the binary log: nothing can be replayed after it",)


def position_words(head: Head, sections: Sections | None = None) -> str:
    """Such as `binlog.000003:1234`, or the GTID set; empty where it tells none."""
    position = head.position or (sections.position if sections else None)
    gtid = head.gtid or (sections.gtid if sections else "")
    return f"{position[0]}:{position[1]}" if position else gtid


def head_of(path: Path) -> Head | None:
    """Raises OSError for a file that cannot be read."""
    return read_head(beginning(path, HEAD_BYTES))


def sections_of(path: Path, seen: Callable[[int], None] = lambda _: None) -> Sections:
    """The whole file read, once as long as it does not change. Raises ActionFailed for a damaged
    file, OSError for one that cannot be read.
    """
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key not in _scanned:
        with unpacked(path) as stream:
            _scanned[key] = scan(stream, seen)
    return _scanned[key]


def moment(path: Path, completed_on: str, known: Manifest | None) -> Moment:
    """A dump does not tell when its snapshot was taken: that is in the manifest or, to the minute, in its
    name; else its end is taken, which is later.
    """
    ended = _end(path, completed_on)
    if known is not None:
        return Moment(known.started_at, known.ended_at, "")
    stamp = _STAMP.search(path.parent.name if path.name.startswith(INSIDE) else path.name)
    if stamp is not None:
        began = _stamped(stamp)
        if began is not None and timedelta(0) <= ended - began < timedelta(days=2):
            zone = "" if stamp[7] else ", read as a time of this machine's zone"
            return Moment(began, ended, f"when it began is taken from its name{zone}")
    return Moment(ended, ended, "when it began is told nowhere: its age counts from its end")


def _stamped(found: re.Match[str]) -> datetime | None:
    try:
        naive = datetime(*(int(part or 0) for part in found.groups()[:6]))  # type: ignore[arg-type] # noqa: DTZ001
    except ValueError:
        return None
    return naive.replace(tzinfo=UTC) if found[7] else naive.astimezone(UTC)


def _end(path: Path, completed_on: str) -> datetime:
    """The last line's time is the client's local one, of a zone nobody tells; the file's own is certain
    where both are the same moment but for a zone.
    """
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if not completed_on:
        return changed
    told = datetime.strptime(" ".join(completed_on.split()), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - see above
    off = (changed - told.replace(tzinfo=UTC)).total_seconds()
    beside = abs(off - round(off / _ZONE_STEP) * _ZONE_STEP)
    if beside <= _NEAR and abs(off) <= 15 * 3600:
        return changed
    return told.astimezone(UTC)
