"""Free space where a table's files lie: known only on the server's own machine, without a login there."""

from __future__ import annotations

import os
from pathlib import Path

from console.engine.own_thread import on_own_thread
from console.engine.postgres.link import Link
from console.engine.postgres.remedies import role_in_sql
from console.engine.postgres.rows import Record
from console.model.table_locks import Disk
from console.model.target import Target

STAT_SECONDS = 2.0  # a network file system may hang


async def read(link: Link, schema: str, name: str) -> Disk:
    target = link.target
    if not target.local:
        return Disk(why="known only where dbdeck runs on the server's machine and connects by its socket")
    rows = await link.fetch("disk", "where the table lies", schema, name)
    if not rows:
        return Disk(why=f"there is no {schema}.{name} in this database")
    place = folder(rows[0])
    if not place:
        role = role_in_sql(target.monitor.user)
        return Disk(why=f"its folder is hidden from this login: GRANT pg_read_all_settings TO {role};")
    try:
        return await on_own_thread(target.name, lambda: look(place, socket_of(target)), seconds=STAT_SECONDS)
    except TimeoutError:
        return Disk(place=place, why="its file system does not answer")


def folder(row: Record) -> str:
    """The tablespace's own, or the data folder for the two that lie in it."""
    return str(row["tablespace"] or row["data"] or "")


def socket_of(target: Target) -> str:
    return f"{target.host}/.s.PGSQL.{target.port}"


def look(place: str, socket: str) -> Disk:
    """A socket may lead into a container, whose folders are not ours: then the owners differ, or there is
    no such folder. What cannot be told apart so is the same file system more often than not.
    """
    try:
        if Path(place).stat().st_uid != Path(socket).stat().st_uid:
            return Disk(place=place, why="this folder is not the server's: it may run in a container")
        space = os.statvfs(place)
    except OSError as error:
        return Disk(place=place, why=f"it cannot be looked at from here: {error.strerror}")
    return Disk(place=place, free=space.f_bavail * space.f_frsize, size=space.f_blocks * space.f_frsize)
