"""Dumps of pg_dump and pg_dumpall in a folder: archives, plain files, and the globals beside them."""

from __future__ import annotations

import asyncio
import gzip
import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, cast

import msgspec

from console.backups import manifest, pg_archive
from console.backups.tools import size_of
from console.errors import ActionFailed
from console.model.backups import Backup, DrillRule, Method, Source

PARTIAL = ".partial"
CLUSTER = "plain, all databases"
_HEAD = 1 << 16
_BESIDE = (".json", ".md5", ".sha1", ".sha256", ".sha512", ".log", ".txt", ".asc", ".sig", ".err")
_NEAR = timedelta(hours=24)
_SKEW = timedelta(seconds=5)
_ZONES = timedelta(minutes=15)  # the offsets of all zones are multiples of it
_FIRST = re.compile(rb"^-- PostgreSQL database (cluster )?dump\b", re.MULTILINE)
_LAST = re.compile(rb"^-- PostgreSQL database (?:cluster )?dump complete\b", re.MULTILINE)
_SERVER = re.compile(r"^-- Dumped from database version (\d+)", re.MULTILINE)
_STARTED = re.compile(r"^-- Started on (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?: (\S+))?", re.MULTILINE)
_CONNECT = re.compile(
    r"^\\connect (?:-reuse-previous=on )?(?:\"((?:[^\"]|\"\")+)\"|'?([\w$-]+)'?)\s*$", re.MULTILINE
)
_DATED = re.compile(r"[-_.]?\d{4}-?\d\d-?\d\d.*$")
UNFINISHED = "it was not finished: its name is that of a backup being taken"
CUT = "it was cut off: its last line, which says that it is complete, is missing"


async def find(name: str, source: Source, rule: DrillRule) -> tuple[Backup, ...]:  # noqa: ARG001 - the port
    """Raises OSError where the folder cannot be read."""
    return await asyncio.to_thread(_found, name, source.path)


def _found(name: str, given: str) -> tuple[Backup, ...]:
    root = Path(given).expanduser()
    return tuple(_described(name, root, path) for path in _entries(root))


def _entries(root: Path) -> Iterator[Path]:
    """What lies in the folder and, where a folder in it is no dump itself, in that one."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not (path / "toc.dat").exists() and not path.name.endswith(PARTIAL):
            yield from _inside(path)
        elif _may_be(path):
            yield path


def _inside(folder: Path) -> list[Path]:
    """The folder itself where nothing can be seen in it: it is told with what is wrong with it."""
    try:
        return [path for path in sorted(folder.iterdir()) if _may_be(path)] or [folder]
    except OSError:
        return [folder]


def _may_be(path: Path) -> bool:
    if path.name.endswith(PARTIAL):
        return True
    return not path.name.startswith(".") and path.suffix not in _BESIDE and not is_globals(path)


def is_globals(path: Path) -> bool:
    return "globals" in path.name and path.name.removesuffix(".gz").endswith(".sql")


def globals_of(backup: Path) -> Path | None:
    """What pg_dumpall --globals-only wrote for this dump: inside of it, or beside it with its name or of its
    time.
    """
    if backup.is_dir():
        inside = sorted(one for one in backup.iterdir() if is_globals(one))
        if inside:
            return inside[0]
    beside = [one for one in backup.parent.iterdir() if is_globals(one)]
    stem = backup.name.split(".")[0]
    named = [one for one in beside if one.name.startswith(f"{stem}.")]
    if named:
        return sorted(named)[0]
    at = backup.stat().st_mtime
    near = [one for one in beside if abs(one.stat().st_mtime - at) <= _NEAR.total_seconds()]
    return min(near, key=lambda one: abs(one.stat().st_mtime - at), default=None)


# ---- one ---------------------------------------------------------------------------------------


def _described(source: str, root: Path, path: Path) -> Backup:
    """Whatever is wrong with it is told as its fault."""
    plain = Backup(
        source=source, id=str(path.relative_to(root)), method=Method.PG_DUMP, path=str(path), format="unknown"
    )
    try:
        size, files = size_of(path)
        plain = msgspec.structs.replace(plain, bytes=size, files=files, ended_at=_modified(path))
        if path.name.endswith(PARTIAL):
            return msgspec.structs.replace(plain, faults=(UNFINISHED,))
        if size == 0:
            return msgspec.structs.replace(plain, faults=("it is empty",))
        archive = pg_archive.read(path)
        found = _of_archive(plain, archive) if archive is not None else _of_plain(plain, path)
        return _with_company(found, path)
    except ActionFailed as error:
        return msgspec.structs.replace(plain, faults=(error.message,))
    except OSError as error:
        return msgspec.structs.replace(plain, faults=(f"it cannot be read: {error.strerror or error}",))


def _modified(path: Path) -> datetime:
    toc = path / "toc.dat" if path.is_dir() else path
    return datetime.fromtimestamp((toc if toc.exists() else path).stat().st_mtime, UTC)


def _of_archive(plain: Backup, archive: pg_archive.Archive) -> Backup:
    missing = [one.label for one in archive.entries if one.file and one.bytes is None]
    faults = [archive.fault] if archive.fault else []
    if missing:
        told = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        faults.append(f"the files of {told} are missing")
    return msgspec.structs.replace(
        plain,
        format=archive.format,
        started_at=archive.created_at,
        version=archive.server_major,
        server=f"PostgreSQL {archive.server}",
        databases=(archive.database,) if archive.database else (),
        label=archive.database,
        faults=tuple(faults),
    )


def _of_plain(plain: Backup, path: Path) -> Backup:
    if path.is_dir():
        return msgspec.structs.replace(plain, faults=("it is a folder without a dump in it",))
    with opened(path) as file:
        head = file.read(_HEAD)
    first = _FIRST.search(head)
    if first is None:
        return msgspec.structs.replace(plain, faults=("it is no dump of PostgreSQL",))
    text = head.decode("utf-8", "replace")
    whole = bool(first[1])
    server = _SERVER.search(text)
    began = _began(text)
    connected = [(quoted or "").replace('""', '"') or bare for quoted, bare in _CONNECT.findall(text)]
    databases = () if whole else tuple(connected[:1]) or (guessed(path),)
    untold = () if began else ("when it began is not told in it: the time is that of its end",)
    return msgspec.structs.replace(
        plain,
        format=CLUSTER if whole else "plain",
        started_at=began or plain.ended_at,
        version=int(server[1]) if server else None,
        server=f"PostgreSQL {server[1]}" if server else "",
        databases=databases,
        label="" if whole else databases[0],
        faults=() if path.suffix == ".gz" or ends_well(path) else (CUT,),
        notes=untold,
    )


def _began(text: str) -> datetime | None:
    """The line is there in dumps with --verbose; its zone is an abbreviation, of which only UTC is sure."""
    found = _STARTED.search(text)
    if found is None:
        return None
    at = datetime.fromisoformat(found[1])
    return at.replace(tzinfo=UTC) if found[2] in ("UTC", "GMT") else at.astimezone()


def guessed(path: Path) -> str:
    """The database, by what people call their files."""
    stem = path.name.split(".")[0]
    return _DATED.sub("", stem) or stem


def opened(path: Path) -> IO[bytes]:
    """Its text, decompressed where it is compressed. Raises OSError."""
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def ends_well(path: Path) -> bool:
    """Whether a plain file ends as one that was finished does."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - 4096))
        return _LAST.search(file.read()) is not None


def last_line_there(tail: bytes) -> bool:
    return _LAST.search(tail) is not None


def _not_after_its_end(found: Backup) -> Backup:
    """A dump tells the time of its own machine without the zone. One that would have begun after its file was
    finished is of a zone east of here, and would look newer than it is.
    """
    if found.started_at is None or found.ended_at is None or found.started_at <= found.ended_at + _SKEW:
        return found
    quarters = math.ceil((found.started_at - found.ended_at) / _ZONES)
    return msgspec.structs.replace(
        found,
        started_at=found.started_at - quarters * _ZONES,
        notes=(*found.notes, "it was dumped in another time zone, which is taken from when it was finished"),
    )


def _with_company(found: Backup, path: Path) -> Backup:
    """What lies beside it: our manifest, which knows better, and the globals."""
    notes: Sequence[str] = found.notes
    if found.format != CLUSTER and globals_of(path) is None:
        notes = (
            *notes,
            "no globals of pg_dumpall are beside it: roles, and what is granted to them, are not in it",
        )
    found = _not_after_its_end(msgspec.structs.replace(found, notes=tuple(notes)))
    try:
        described = manifest.read(path)
    except ActionFailed as error:
        return msgspec.structs.replace(found, faults=(*found.faults, error.message))
    if described is None:
        return found
    databases = tuple(one.database for one in described.baseline.contents) or found.databases
    return msgspec.structs.replace(
        found,
        manifest=str(manifest.place(path)),
        started_at=described.started_at,
        ended_at=described.ended_at,
        databases=databases,
        label=databases[0] if len(databases) == 1 else found.label,
        notes=tuple(one for one in found.notes if not one.startswith("when it began")),
    )
