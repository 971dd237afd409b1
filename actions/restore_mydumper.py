"""Restoring a folder of mydumper, by myloader."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from actions.mysql_fence import (
    Scratch,
    Tools,
    age_check,
    checked,
    fence_checks,
    find_tools,
    initialise,
    runnable,
    start,
)
from actions.mysql_replay import Start, files_in, replayed
from actions.mysql_soundness import soundness
from actions.restore_mysqldump import EMPTY_SERVER
from actions.restoring import Restored, Site, Space
from console.backups.unpacking import packing, unpacked
from console.dispatch.enclosure import MYSQL, Enclosure, Work
from console.errors import ActionFailed
from console.model.drills import Area, Check, Outcome, PhaseName

_GROWTH = 2.0
_PACKED = 10.0
_REFUSED = re.compile(r"CRITICAL|ERROR|[Ee]rror (?:restoring|switching|occurs)")
_OF_WHAT = re.compile(r"(?:from file|in file|restoring|on) ['`]?([\w.$-]+)['`]?")
_LOADED = "the dump is loaded"


class MydumperRestorer:
    kind = MYSQL

    async def tools(self, site: Site) -> list[Check]:
        found = await find_tools(site, ("install", "loader"))
        return [found] if isinstance(found, Check) else [age_check(site, found, physical=False)]

    async def space(self, site: Site) -> Space:
        files = files_in(Path(site.backup.path))
        plain = sum(one.stat().st_size * (_PACKED if packing(one).name else 1) for one in files)
        why = f"twice its {plain / (1 << 20):.0f} MiB of statements, and an empty server"
        return Space(bytes=int(plain * _GROWTH) + EMPTY_SERVER, inodes=2000 + len(files), why=why)

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:  # noqa: ARG002 - the port
        damaged = await site.unless_stopped(asyncio.to_thread(_damaged, Path(site.backup.path)))
        outcome = Outcome.FAILED if damaged else Outcome.PASSED
        detail = (
            f"{len(damaged)} file(s) cannot be unpacked" if damaged else "each file can be read to its end"
        )
        return [
            Check(area=Area.MEDIA, name="the dump is whole", outcome=outcome, detail=detail, items=damaged)
        ]

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        found = await find_tools(site, ("install", "loader"))
        if isinstance(found, Check):
            raise ActionFailed(found.detail)
        async with site.phase(PhaseName.PREPARE):
            await initialise(enclosure, found)
            scratch = await start(site, enclosure, found)
        async with site.phase(PhaseName.RESTORE, site.backup.bytes):
            why = await _load(site, enclosure, scratch, found, Path(site.backup.path))
        outcome = Outcome.FAILED if why else Outcome.PASSED
        site.checks.append(checked(_LOADED, outcome, why, Area.RECOVERY))
        if why:
            return None
        begin = start_of(site.backup.label)
        return await replayed(site, enclosure, scratch, begin, whole_cluster=False)

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG002 - the port
        return await fence_checks(enclosure, restored)

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        return await soundness(site, enclosure, restored)


def start_of(label: str) -> Start:
    """Of a backup's label: a log with an offset, or a set of GTIDs."""
    file, mark, offset = label.rpartition(":")
    if mark and offset.isdigit() and re.search(r"\.\d{6,}$", file):
        return Start(file, int(offset))
    return Start(gtid=label)


def _damaged(folder: Path) -> tuple[str, ...]:
    bad = []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not packing(path).name:
            continue
        try:
            with unpacked(path) as stream:
                while stream.read(1 << 20):
                    pass
        except ActionFailed:
            bad.append(path.name)
    return tuple(bad)


async def _load(site: Site, enclosure: Enclosure, scratch: Scratch, tools: Tools, folder: Path) -> str:
    """Why it could not be loaded; empty where it was. myloader goes on after an error, and says so."""
    refused: list[str] = []
    files = len(files_in(folder))
    seen = 0

    def hear(line: str) -> None:
        nonlocal seen
        seen += "restoring" in line
        site.advance(PhaseName.RESTORE, seen, files, "files")
        if _REFUSED.search(line):
            refused.append(line)

    argv = [
        runnable(enclosure, tools.all["loader"]),
        f"--defaults-file={scratch.options}",
        f"--socket={scratch.socket}",
    ]
    argv += ["--directory", str(folder), "--threads", str(site.source.jobs), "--verbose", "3"]
    work = Work(argv, "load the dump", line=hear, both=True, reads=True)
    heard = await site.unless_stopped(enclosure.run(work))
    if heard.code == 0 and not refused:
        return ""
    about = sorted({found[1] for found in map(_OF_WHAT.search, refused) if found})
    named = f" ({', '.join(about[:10])})" if about else ""
    return f"myloader could not load all of it{named}: {heard.how}"
