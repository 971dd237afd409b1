"""Backups, where they are looked for, and what is promised of them (the config's `drills` section)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from console.model.login import EngineKind, Login

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

_SCRATCH = "/tmp"  # noqa: S108 - a private folder is made in it
_REPORTS = "~/.local/state/dbdeck/drills"

Network = Literal["closed", "open"]
Span = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,4}[smhdw]$")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


def seconds_of(span: str) -> float:
    """Of a time as the config has it, such as `15m`."""
    return int(span[:-1]) * _SECONDS[span[-1]]


class Method(StrEnum):
    """What made a backup, and so what it is restored with."""

    PG_DUMP = "pg_dump"
    PG_BASEBACKUP = "pg_basebackup"
    PGBACKREST = "pgbackrest"
    BARMAN = "barman"
    MYSQLDUMP = "mysqldump"  # mariadb-dump, too
    MYDUMPER = "mydumper"
    MARIABACKUP = "mariabackup"
    XTRABACKUP = "xtrabackup"

    @property
    def engine(self) -> EngineKind:
        return EngineKind.POSTGRES if self in _OF_POSTGRES else EngineKind.MYSQL

    @property
    def physical(self) -> bool:
        """A copy of the server's files, which only the same major version can read."""
        return self not in (Method.PG_DUMP, Method.MYSQLDUMP, Method.MYDUMPER)


_OF_POSTGRES = (Method.PG_DUMP, Method.PG_BASEBACKUP, Method.PGBACKREST, Method.BARMAN)


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where backups of one target are found, by the name the config gives it.

    `path` is the folder whose entries are backups; of pgBackRest and Barman their own configuration file,
    with the `stanza` (pgBackRest) or `server` (Barman) in it. `archive` is the folder of WAL segments or
    binary logs that a restore to a time replays. `login` takes backups; the target's operator, unless given.
    `jobs`: so many connections or processes restore side by side.
    """

    method: Method
    path: str
    archive: str | None = None
    stanza: str | None = None
    server: str | None = None
    login: Login | None = None
    jobs: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    format: Literal["directory", "custom", "plain", "tar"] | None = None


def source_fault(source: Source, engine: EngineKind) -> str:
    """Why backups cannot be looked for so; empty where they can."""
    if source.method.engine is not engine:
        return f"{source.method} makes no backups of {engine}"
    if source.method is Method.PGBACKREST and not source.stanza:
        return "pgbackrest wants the key stanza"
    if source.method is Method.BARMAN and not source.server:
        return "barman wants the key server"
    if not source.path.startswith(("/", "~/")):
        return f"the path {source.path!r} does not begin with / or ~/"
    return ""


class Assertion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question to the restored data. It holds where the first value of the answer is `expect`.

    Rows are never shown or kept, only this one value.
    """

    name: Name
    sql: str
    expect: str = "true"
    database: str | None = None


class Freshness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How new the newest row is: one timestamp, which a heartbeat or an orders table has."""

    sql: str
    database: str | None = None


class TargetDrills(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is promised for one target. `drift`: share by which row counts may differ from the live server.

    `binaries` is the folder of the server's programs, where they are not found by their version. `budget`
    is for counting and checksums; what does not fit is sampled.
    """

    sources: dict[Name, Source] = {}
    cadence: Span = "7d"
    rpo: Span = "24h"
    rto: Span = "4h"
    binaries: str | None = None
    budget: Span = "5m"
    drift: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    freshness: Freshness | None = None
    assertions: tuple[Assertion, ...] = ()


class DrillRule(TargetDrills, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for one target, with what holds for all."""

    scratch: str = _SCRATCH
    reports: str = _REPORTS
    network: Network = "closed"

    @property
    def scratch_folder(self) -> Path:
        return Path(self.scratch).expanduser()

    @property
    def reports_folder(self) -> Path:
        return Path(self.reports).expanduser()


class Drills(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section. `scratch` is where restored servers stand for as long as a drill takes; `reports` keeps
    what drills found. `network: closed` refuses to drill where a restored server cannot be kept from the
    network by the kernel.
    """

    scratch: str = _SCRATCH
    reports: str = _REPORTS
    network: Network = "closed"
    targets: dict[str, TargetDrills] = {}

    def of(self, target: str) -> DrillRule:
        own = self.targets.get(target, TargetDrills())
        return DrillRule(
            **msgspec.structs.asdict(own), scratch=self.scratch, reports=self.reports, network=self.network
        )


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup as it lies there. `id` is its name within its source: a file's, a folder's, a label.

    `started_at` is when its snapshot was taken, from which its age counts: not when it was finished.
    `version` is the major version of the server it is of (PostgreSQL 17; MySQL 9.7 and MariaDB 10.11 as
    907 and 1011), None where it is not told. `faults` are what is wrong with it at first sight, such as a
    dump without its last line; `notes` what it is known not to hold.
    """

    source: str
    id: str
    method: Method
    path: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    bytes: int | None = None
    files: int | None = None
    version: int | None = None
    server: str = ""
    databases: tuple[str, ...] = ()
    format: str = ""
    label: str = ""
    manifest: str = ""  # the path of what `backup.take` wrote beside it
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """The backups of a target, the newest first. `problems` are sources that could not be read, and why."""

    backups: tuple[Backup, ...] = ()
    problems: tuple[str, ...] = ()

    def newest(self, source: str = "") -> Backup | None:
        return next((one for one in self.backups if source in ("", one.source)), None)

    def find(self, source: str, name: str) -> Backup | None:
        fits = [one for one in self.backups if one.id == name and source in ("", one.source)]
        return fits[0] if len(fits) == 1 else None
