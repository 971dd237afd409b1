"""Folders of mariadb-backup and xtrabackup: a server's files, with what they say of themselves beside them.

A backup is of the moment at its end, when its lock was held, and not of its beginning.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from console.backups import manifest
from console.backups.tools import size_of
from console.model.backups import Backup, DrillRule, Method, Source

# Newer MariaDB calls them by its own name.
INFO = ("mariadb_backup_info", "xtrabackup_info")
CHECKPOINTS = ("mariadb_backup_checkpoints", "xtrabackup_checkpoints")
POSITION = ("mariadb_backup_binlog_info", "xtrabackup_binlog_info")
_STREAMS = (".xb", ".xbstream", ".mbstream", ".mb")
_PACKED = (".qp", ".zst", ".lz4", ".xbcrypt")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


_ITS_SERVER = {Method.MARIABACKUP: "MariaDB", Method.XTRABACKUP: "MySQL"}


async def find(name: str, source: Source, rule: DrillRule) -> tuple[Backup, ...]:  # noqa: ARG001 - the port
    """Raises OSError where the folder cannot be read."""
    return await asyncio.to_thread(_find, name, source)


def _find(name: str, source: Source) -> tuple[Backup, ...]:
    entries = sorted(Path(source.path).expanduser().iterdir())
    found = (_look(name, source.method, entry) for entry in entries)
    return tuple(one for one in found if one is not None)


def _look(source: str, method: Method, entry: Path) -> Backup | None:
    if entry.is_file() and entry.name.endswith(_STREAMS):
        told = "a stream: unpack it with mbstream or xbstream into a folder of its own"
        size, _ = size_of(entry)
        return Backup(
            source=source, id=entry.name, method=method, path=str(entry), bytes=size, files=1, faults=(told,)
        )
    if not entry.is_dir() or not any(
        (entry / one).exists() for one in (*INFO, *CHECKPOINTS, "backup-my.cnf")
    ):
        return None
    size, files = size_of(entry)
    info, points = told_in(entry, INFO), told_in(entry, CHECKPOINTS)
    version = _VERSION.search(info.get("server_version", ""))
    flavor = "MariaDB" if "mariadb" in info.get("server_version", "").lower() else "MySQL"
    known = manifest.read(entry)
    return Backup(
        source=source, id=entry.name, method=method, path=str(entry), bytes=size, files=files,
        started_at=known.started_at if known else _time(info.get("end_time", "")),
        ended_at=_time(info.get("end_time", "")),
        version=int(version[1]) * 100 + int(version[2]) if version else None,
        server=f"{flavor} {version[0]}" if version else _ITS_SERVER[method],
        databases=_databases(entry),
        format=points.get("backup_type", ""),
        label=position_of(entry),
        manifest=str(manifest.place(entry)) if known else "",
        faults=_faults(entry, info, points),
        notes=_notes(info, entry),
    )  # fmt: skip


def told_in(entry: Path, names: tuple[str, ...]) -> Mapping[str, str]:
    """`name = value` lines of the first of these files there is; empty where there is none."""
    for name in names:
        path = entry / name
        if path.is_file():
            lines = (line.partition("=") for line in path.read_text("utf-8", "replace").splitlines())
            return {key.strip(): value.strip() for key, mark, value in lines if mark}
    return {}


def position_of(entry: Path) -> str:
    """As `binlog.000003:1234`, or empty. The file has name, offset and GTID, with tabs between them."""
    for name in POSITION:
        path = entry / name
        if path.is_file():
            words = path.read_text("utf-8", "replace").split()
            return f"{words[0]}:{words[1]}" if len(words) > 1 and words[1].isdigit() else ""
    return ""


def _faults(entry: Path, info: Mapping[str, str], points: Mapping[str, str]) -> tuple[str, ...]:
    said = []
    if not points:
        said.append("not finished: it has no xtrabackup_checkpoints")
    if info.get("incremental", "N").upper() == "Y" or points.get("backup_type") == "incremental":
        said.append("an increment: it cannot be restored without the backups before it")
    if any(one.suffix in _PACKED for one in entry.rglob("*")):
        said.append("packed or encrypted file by file: unpack it first (--decompress, --decrypt)")
    return tuple(said)


def _notes(info: Mapping[str, str], entry: Path) -> tuple[str, ...]:
    said = []
    if info.get("partial", "N").upper() == "Y":
        said.append("partial: made of some tables only")
    if not position_of(entry):
        said.append("no position of the binary log: nothing can be replayed after it")
    if info.get("end_time"):
        said.append("its times are those of the machine that made it, read as this machine's zone")
    return tuple(said)


def _databases(entry: Path) -> tuple[str, ...]:
    own = ("mysql", "sys", "performance_schema", "#innodb_redo", "#innodb_temp", "#rocksdb")
    return tuple(sorted(one.name for one in entry.iterdir() if one.is_dir() and one.name not in own))


def _time(text: str) -> datetime | None:
    try:
        naive = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - it tells no zone
    except ValueError:
        return None
    return naive.astimezone(UTC)
