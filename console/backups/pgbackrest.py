"""Backups in a repository of pgBackRest, by its own word (`info --output=json`, versions 2.x)."""

from __future__ import annotations

import asyncio
import configparser
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from console import programs
from console.backups import tools
from console.backups.wal import Segment, segment
from console.errors import ActionFailed
from console.model.backups import Backup, DrillRule, Method, Source

SECONDS = 60.0


class _Times(msgspec.Struct):
    start: int
    stop: int


class _Size(msgspec.Struct):
    size: int = 0


class _Reference(msgspec.Struct):
    id: int


class _Backup(msgspec.Struct):
    label: str
    type: str
    timestamp: _Times
    info: _Size
    database: _Reference
    error: bool | None = None
    prior: str | None = None


class _Database(msgspec.Struct):
    id: int
    version: str
    system: int = msgspec.field(name="system-id", default=0)


class _Archive(msgspec.Struct):
    id: str
    database: _Reference
    min: str | None = None
    max: str | None = None


class _Status(msgspec.Struct):
    code: int
    message: str


class Stanza(msgspec.Struct):
    name: str
    status: _Status
    backup: list[_Backup] = []
    db: list[_Database] = []
    archive: list[_Archive] = []

    def archive_of(self, label: str) -> str:
        """The name of the archive that this backup's WAL is in, such as 15-1."""
        wanted = next((one.database.id for one in self.backup if one.label == label), None)
        return next((one.id for one in self.archive if one.database.id == wanted), "")


async def find(name: str, source: Source, rule: DrillRule) -> tuple[Backup, ...]:  # noqa: ARG001 - the port
    """Raises ActionFailed where pgBackRest does not answer."""
    stanza = await info(source)
    if stanza.status.code not in (0, 2) and not stanza.backup:
        raise ActionFailed(f"pgBackRest says of stanza {stanza.name}: {stanza.status.message}")
    return tuple(_described(name, source, stanza, one) for one in stanza.backup)


async def info(source: Source) -> Stanza:
    answer = await ask(source, ["info", "--output=json"])
    try:
        found = msgspec.json.decode(answer, type=list[Stanza])
    except msgspec.DecodeError as error:
        raise ActionFailed(f"pgBackRest's answer is not understood: {error}") from None
    stanza = next((one for one in found if one.name == source.stanza), None)
    if stanza is None:
        raise ActionFailed(f"pgBackRest knows no stanza {source.stanza}")
    return stanza


def words(source: Source, more: Sequence[str]) -> list[str]:
    """Raises ActionFailed where it is not installed."""
    found = tools.program("pgbackrest")
    if found is None:
        raise ActionFailed("pgbackrest is not installed on this machine")
    config = str(Path(source.path).expanduser())
    return [str(found), f"--config={config}", f"--stanza={source.stanza}", "--log-level-file=off", *more]


async def ask(source: Source, more: Sequence[str]) -> bytes:
    argv = await asyncio.to_thread(words, source, ["--log-level-console=warn", *more])
    heard = await programs.hear(programs.Call(argv, seconds=SECONDS))
    if heard.code != 0:
        raise ActionFailed(f"pgbackrest {more[0]} {heard.why or heard.answer.decode('utf-8', 'replace')}")
    return heard.answer


def _described(name: str, source: Source, stanza: Stanza, one: _Backup) -> Backup:
    database = next((db for db in stanza.db if db.id == one.database.id), None)
    version = int(database.version.split(".")[0]) if database else None
    known = {backup.label for backup in stanza.backup}
    faults = []
    if one.error:
        faults.append("pgBackRest found pages with wrong checksums when it took it")
    if one.prior is not None and one.prior not in known:
        faults.append(f"it builds on {one.prior}, which is not there")
    return Backup(
        source=name,
        id=one.label,
        method=Method.PGBACKREST,
        path=str(Path(source.path).expanduser()),
        started_at=datetime.fromtimestamp(one.timestamp.start, UTC),
        ended_at=datetime.fromtimestamp(one.timestamp.stop, UTC),
        bytes=one.info.size,
        version=version,
        server=f"PostgreSQL {version}, system {database.system}" if database else "",
        format={"full": "full", "diff": "differential", "incr": "incremental"}.get(one.type, one.type),
        label=one.label,
        faults=tuple(faults),
    )


async def segments(source: Source, archive: str) -> tuple[Segment, ...]:
    """What WAL the repository has of one archive."""
    answer = await ask(
        source, ["repo-ls", "--recurse", "--output=json", f"archive/{source.stanza}/{archive}"]
    )
    try:
        found: dict[str, Any] = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ActionFailed(f"pgBackRest's list of WAL is not understood: {error}") from None
    names = (path.rsplit("/", 1)[-1] for path in found)
    return tuple(one for one in map(segment, names) if one is not None)


class Repository(NamedTuple):
    """Where its files are, as far as its configuration says. `remote`: beyond this machine."""

    remote: bool
    hosted: bool  # the server is on another machine, by the configuration


def repository(source: Source) -> Repository:
    """Raises ActionFailed where the configuration cannot be read."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    path = Path(source.path).expanduser()
    try:
        parser.read_string(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise ActionFailed(f"{path} cannot be read: {error.strerror}") from None
    except configparser.Error as error:
        raise ActionFailed(f"{path} is no configuration of pgBackRest: {error}") from None
    options = {
        key: value
        for section in parser.sections()
        if section.split(":")[0] in ("global", source.stanza)
        for key, value in parser.items(section)
    }
    remote = any(
        key.startswith("repo") and (key.endswith("-host") or (key.endswith("-type") and value != "posix"))
        for key, value in options.items()
    )
    return Repository(remote, any(key.startswith("pg") and key.endswith("-host") for key in options))
