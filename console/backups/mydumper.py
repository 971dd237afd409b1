"""Folders of mydumper: one file a table, and `metadata`, which is there once the dump is complete."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from console.backups import manifest
from console.backups.tools import size_of
from console.backups.unpacking import beginning
from console.model.backups import Backup, DrillRule, Method, Source

_STARTED = re.compile(r"Started dump at: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_FINISHED = re.compile(r"Finished dump at: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_LOG = re.compile(r"^\s*(?:#\s*)?(?:Log:|File = |SOURCE_LOG_FILE = )\s*\"?([^\s\"]+)", re.MULTILINE)
_POSITION = re.compile(r"^\s*(?:#\s*)?(?:Pos:|Position = |SOURCE_LOG_POS = )\s*\"?(\d+)", re.MULTILINE)
_GTID = re.compile(r"^\s*(?:#\s*)?(?:GTID:|Executed_Gtid_Set = )\s*\"?([^\s\"]+)", re.MULTILINE)
_SCHEMA = re.compile(r"(.+)-schema-create(?:-database)?\.sql(?:\.\w+)?$")


async def find(name: str, source: Source, rule: DrillRule) -> tuple[Backup, ...]:  # noqa: ARG001 - the port
    """Raises OSError where the folder cannot be read."""
    return await asyncio.to_thread(_find, name, source.path)


def _find(name: str, folder: str) -> tuple[Backup, ...]:
    entries = [one for one in sorted(Path(folder).expanduser().iterdir()) if one.is_dir()]
    return tuple(one for one in (_look(name, entry) for entry in entries) if one is not None)


def _look(source: str, entry: Path) -> Backup | None:
    sizes = {one.name: one.stat().st_size for one in entry.iterdir() if one.is_file()}
    files = list(sizes)
    whole = "metadata" in files
    if not whole and "metadata.partial" not in files:
        return None
    size, count = size_of(entry)
    text = (entry / ("metadata" if whole else "metadata.partial")).read_text("utf-8", "replace")
    backup = Backup(
        source=source, id=entry.name, method=Method.MYDUMPER, path=str(entry), bytes=size, files=count,
        started_at=_time(_STARTED, text), ended_at=_time(_FINISHED, text), format="mydumper",
        databases=tuple(sorted(found[1] for found in map(_SCHEMA.match, files) if found)),
        label=position_of(text), server=_flavor(entry),
    )  # fmt: skip
    known = manifest.read(entry)
    if known is not None:
        backup = msgspec.structs.replace(
            backup, started_at=known.started_at, manifest=str(manifest.place(entry)), server=known.server
        )
    return msgspec.structs.replace(backup, faults=_faults(whole, text), notes=_notes(sizes))


def _flavor(entry: Path) -> str:
    """Old mydumpers do not tell it. MariaDB writes widths of integers and its own functions' brackets into
    definitions, MySQL 8 and later do not.
    """
    for path in sorted(entry.glob("*-schema.sql*"))[:_LOOKED_AT]:
        text = beginning(path, _ENOUGH).decode("utf-8", "replace")
        if _MARIADB.search(text):
            return "MariaDB"
        if _MYSQL.search(text):
            return "MySQL"
    return ""


_LOOKED_AT, _ENOUGH, _NAMED = 50, 1 << 16, 5
_MARIADB = re.compile(
    r"SEQUENCE=1|_uca1400_|current_timestamp\(\)|\bint\(11\)|\bbigint\(20\)|PAGE_CHECKSUM", re.IGNORECASE
)
_MYSQL = re.compile(
    r"_0900_|\bDEFAULT_GENERATED\b|/\*!80|` (?:int|bigint|smallint)(?: unsigned)?[ ,]", re.IGNORECASE
)


def _faults(whole: bool, text: str) -> tuple[str, ...]:
    if not whole:
        return ("not finished: mydumper left only metadata.partial",)
    return () if _FINISHED.search(text) else ("not finished: metadata has no end",)


def _notes(files: Mapping[str, int]) -> tuple[str, ...]:
    """By what files there are, with their bytes. Routines and events share one file, so that only both can be
    told missing; whether they were left out or there are none, nothing tells.
    """
    empty = sorted(name for name, size in files.items() if not size)
    said = (
        (bool(empty), f"{_listed(empty)}: empty, which --build-empty-files makes, or a disk that was full"),
        (not any("-schema-post" in one for one in files), "no routines and events are in it (-R and -E)"),
        (not any("-schema-triggers" in one for one in files), "no trigger is in it"),
        (True, "no users and grants"),
        (True, "it does not tell which server it is of, which is guessed by its tables"),
        (True, "its times are those of the machine that made it, read as this machine's zone"),
    )
    return tuple(text for holds, text in said if holds)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''}"


def position_of(text: str) -> str:
    """As `binlog.000003:1234`, or the GTID set; empty where it tells none."""
    log, position, gtid = _LOG.search(text), _POSITION.search(text), _GTID.search(text)
    return f"{log[1]}:{position[1]}" if log and position else gtid[1] if gtid else ""


def _time(pattern: re.Pattern[str], text: str) -> datetime | None:
    found = pattern.search(text)
    if found is None:
        return None
    naive = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - it tells no zone
    return naive.astimezone(UTC)
