"""Room for a table that is built anew, and why nobody measures what a table wastes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from console.engine.mysql.link import Link
from console.engine.mysql.rows import account_literal
from console.engine.own_thread import on_own_thread
from console.errors import PrivilegeMissing, UsageError
from console.model.table_locks import Disk
from console.model.tables import Measurement

Record = Mapping[str, Any]
STAT_SECONDS = 2.0  # a network file system may hang
_PLUGIN = "DISKS"
_NO_MEASURE = (
    "neither MySQL nor MariaDB measures what a table wastes: ANALYZE TABLE samples a few pages, CHECK TABLE "
    "reads it all and tells only whether it is sound; the free space shown is the server's own count of its "
    "free extents"
)


async def disk(link: Link, schema: str, name: str) -> Disk:
    """Raises an Unreachable error. What cannot be known is None with its reason."""
    _, identity = await link.connected()
    try:
        row = (await link.fetch("data_files", "data files", schema, name))[0]
    except PrivilegeMissing as missing:
        return Disk(why=missing.hint)
    place = folder_of(str(row["folder"]), row["file"])
    if link.target.local and row["host"] == socket.gethostname():
        try:
            return await on_own_thread(link.target.name, lambda: _looked_up(place), seconds=STAT_SECONDS)
        except TimeoutError:
            return Disk(place=place, why="its file system does not answer")
    if identity.flavor == "mariadb":
        return await _of_plugin(link, place, account_literal(identity.user))
    return Disk(place=place, why="the server is reached over TCP, and MySQL does not tell: see df there")


def _looked_up(place: str) -> Disk:
    try:
        figures = os.statvfs(place)
    except OSError as error:
        return Disk(place=place, why=f"{place} cannot be looked at: {error.strerror}")
    unit = figures.f_frsize
    return Disk(place=place, free=figures.f_bavail * unit, size=figures.f_blocks * unit)


async def _of_plugin(link: Link, place: str, account: str) -> Disk:
    if not await link.fetch("plugins", "plugins", (_PLUGIN,)):
        away = "the server is reached over TCP: INSTALL SONAME 'disks'; and"
        return Disk(place=place, why=f"{away} GRANT FILE ON *.* TO {account};")
    found = on_mount(place, await link.fetch("disks", "disks"))
    if found is None:
        return Disk(place=place, why=f"GRANT FILE ON *.* TO {account};")
    return Disk(place=place, free=int(found["free"]), size=int(found["size"]))


# ---- pure --------------------------------------------------------------------------------------


def folder_of(data: str, file: str | None) -> str:
    """Where a table's files lie; the data folder where they are not known. File names are relative to it."""
    return str(PurePosixPath(data, file).parent if file else PurePosixPath(data))


def on_mount(place: str, rows: Iterable[Record]) -> Record | None:
    """The mount a path lies on: the longest that leads to it."""
    path = PurePosixPath(place)
    mounts = {PurePosixPath(str(row["path"])): row for row in rows}
    under = [mount for mount in mounts if path.is_relative_to(mount)]
    return mounts[max(under, key=lambda mount: len(mount.parts))] if under else None


def measurement(schema: str, name: str) -> Measurement:
    return Measurement(subject=f"{schema}.{name}", bytes=None, how="", lock="", refusal=_NO_MEASURE)


def refuse_to_measure(target: str, schema: str, name: str) -> UsageError:
    return UsageError(
        f"{target}: {schema}.{name} was not measured: {_NO_MEASURE}",
        "see its free space and its statistics instead",
    )
