"""All backups of a target, from all of its sources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from console.backups import (
    barman,
    mariabackup,
    mydumper,
    mysqldump,
    pg_basebackup,
    pg_dump,
    pgbackrest,
    xtrabackup,
)
from console.errors import DbdeckError
from console.model.backups import Backup, Catalogue, DrillRule, Method, Source

Find = Callable[[str, Source, DrillRule], Awaitable[tuple[Backup, ...]]]
FINDERS: Mapping[Method, Find] = {
    Method.PG_DUMP: pg_dump.find,
    Method.PG_BASEBACKUP: pg_basebackup.find,
    Method.PGBACKREST: pgbackrest.find,
    Method.BARMAN: barman.find,
    Method.MYSQLDUMP: mysqldump.find,
    Method.MYDUMPER: mydumper.find,
    Method.MARIABACKUP: mariabackup.find,
    Method.XTRABACKUP: xtrabackup.find,
}
_NEVER = datetime.fromtimestamp(0, UTC)


async def catalogue(rule: DrillRule) -> Catalogue:
    """A source that cannot be read is a problem of its own, and hides no other."""
    found: list[Backup] = []
    problems = []
    for name, source in rule.sources.items():
        try:
            found += await FINDERS[source.method](name, source, rule)
        except DbdeckError as error:
            problems.append(f"{name}: {error.message}")
        except OSError as error:
            problems.append(f"{name}: {error.filename or source.path}: {error.strerror}")
    found.sort(key=lambda one: one.started_at or _NEVER, reverse=True)
    return Catalogue(backups=tuple(found), problems=tuple(problems))
