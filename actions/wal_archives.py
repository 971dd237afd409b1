"""Where the WAL of a recovery comes from: the folder of an archive, or a copy of it that may be read."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import NamedTuple

from actions.restoring import Site
from console.backups import wal
from console.backups.wal import Segment
from console.dispatch.enclosure import Enclosure, Work
from console.errors import ActionFailed
from console.model.drills import PhaseName


class Archive(NamedTuple):
    """Where WAL comes from beside the copy. `command` is a restore_command; empty: there is no archive."""

    command: str = ""
    segments: tuple[Segment, ...] = ()


async def archive_in(site: Site, enclosure: Enclosure, first: str) -> Archive:
    """The folder of the source as an archive. Where the server's user may not read it, what is needed is
    copied into the enclosure first. Raises ActionFailed where it cannot be read.
    """
    if site.source.archive is None:
        return Archive()
    folder = await asyncio.to_thread(Path(site.source.archive).expanduser)
    try:
        names = await asyncio.to_thread(wal.names_in, folder)
        open_to_all = await asyncio.to_thread(_readable, enclosure, folder)
    except OSError as error:
        raise ActionFailed(f"the archive {folder} cannot be read: {error.strerror}") from None
    segments = tuple(one for one in map(wal.segment, names) if one is not None)
    if not open_to_all:
        folder = await _staged(site, enclosure, folder, first)
    return Archive(fetching(folder), segments)


def _readable(enclosure: Enclosure, folder: Path) -> bool:
    """By its modes; a file in it may still be refused, and recovery then ends there and says so."""
    if not enclosure.readable(folder):
        return False
    account = enclosure.account
    for path in folder.iterdir():
        found = path.stat()
        mine = 0o400 if found.st_uid == account.uid else 0o040 if found.st_gid == account.gid else 0o004
        if not found.st_mode & mine:
            return False
    return True


async def _staged(site: Site, enclosure: Enclosure, folder: Path, first: str) -> Path:
    """Segments from the backup's first on, and what tells timelines apart."""
    stage = enclosure.folder("wal")
    paths = await asyncio.to_thread(lambda: sorted(one for one in folder.rglob("*") if one.is_file()))
    wanted = [str(one) for one in paths if one.name[8:24] >= first[8:24] or ".history" in one.name]
    async with site.phase(PhaseName.RECOVER):
        for start in range(0, len(wanted), 500):
            argv = ["cp", "--reflink=auto", "-t", str(stage), "--", *wanted[start : start + 500]]
            ended = await site.unless_stopped(
                enclosure.run(Work(argv, "copy WAL that it may not read", reads=True))
            )
            if ended.code != 0:
                raise ActionFailed(f"the WAL was not copied: cp {ended.why}")
    return stage


def fetching(folder: Path) -> str:
    """A restore_command that finds segments as they are and compressed, and says no to what is not there."""
    base = shlex.quote(str(folder)).replace("%", "%%")
    tries = []
    for ending, program in wal.FETCH.items():
        file = f"{base}/%f{ending}"
        write = f'{program} {file} "%p"' if not ending else f'{program} < {file} > "%p"'
        tries.append(f"if test -f {file}; then {write}; exit; fi")
    return "; ".join([*tries, "exit 1"])
