"""Restoring a dump of mysqldump or mariadb-dump into a server of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from weakref import WeakKeyDictionary

from actions.mysql_fence import (
    Scratch,
    Tools,
    age_check,
    checked,
    clear_accounts,
    clear_roles,
    fence_checks,
    find_tools,
    initialise,
    let_in_again,
    start,
    told,
)
from actions.mysql_load import load, prepare_accounts
from actions.mysql_replay import Start, replayed
from actions.mysql_soundness import soundness
from actions.restoring import Restored, Site, Space
from console.backups import manifest
from console.backups.mysql_text import Head, Sections
from console.backups.mysqldump import INSIDE, USERS, dump_of, head_of, sections_of
from console.backups.unpacking import packing
from console.dispatch.enclosure import MYSQL, Enclosure
from console.engine.queries import quote_ident
from console.errors import ActionFailed
from console.model.drills import Area, Check, Outcome, PhaseName

EMPTY_SERVER = 300 << 20  # bytes: system tables, redo and undo logs of a new server
_GROWTH = 2.0  # InnoDB's pages and indexes over the text of a dump; research 2 of drills
_PACKED = 10.0  # how much larger a packed dump is, where nobody has read it yet


class MysqldumpRestorer:
    kind = MYSQL

    def __init__(self) -> None:
        self._tools: WeakKeyDictionary[Site, Tools] = WeakKeyDictionary()

    async def tools(self, site: Site) -> list[Check]:
        found = await find_tools(site, ("install",))
        if isinstance(found, Check):
            return [found]
        self._tools[site] = found
        fault = packing(_dump(site)).fault
        return [
            age_check(site, found, physical=False),
            *([checked("unpacking", Outcome.BROKEN, fault)] if fault else []),
        ]

    async def space(self, site: Site) -> Space:
        path = _dump(site)
        size = path.stat().st_size
        plain = size * _PACKED if packing(path).name else size
        return Space(
            bytes=int(plain * _GROWTH) + EMPTY_SERVER,
            inodes=2000,
            why=f"twice its {plain / (1 << 20):.0f} MiB of statements, and an empty server",
        )

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:  # noqa: ARG002 - the port
        """It is read to its end: a packed file with its checksum, and the last line must be there."""
        try:
            found = await site.unless_stopped(asyncio.to_thread(sections_of, _dump(site)))
        except ActionFailed as error:
            return [checked("the dump is whole", Outcome.FAILED, error.message, Area.MEDIA)]
        checks = [*await sums(site), _whole(found)]
        unfinished = sorted(set(found.views) - set(found.finished_views))
        if found.comments and unfinished:
            items = tuple(f"view {name}" for name in unfinished)
            checks.append(
                Check(area=Area.MEDIA, name="each view is finished", outcome=Outcome.FAILED, items=items,
                      detail=f"{len(items)} view(s) have no definition in it, only a placeholder")
            )  # fmt: skip
        return checks

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        path = _dump(site)
        try:
            head = await asyncio.to_thread(head_of, path)
            sections = await asyncio.to_thread(sections_of, path)
        except ActionFailed as error:
            site.checks.append(checked("the dump is loaded", Outcome.FAILED, error.message, Area.RECOVERY))
            return None
        async with site.phase(PhaseName.PREPARE):
            scratch = await self._server(site, enclosure)
        async with site.phase(PhaseName.RESTORE, path.stat().st_size):
            why = await _load_all(site, enclosure, scratch, (path, head or Head(), sections))
        if why:
            site.checks.append(checked("the dump is loaded", Outcome.FAILED, why, Area.RECOVERY))
            return None
        site.checks.append(checked("the dump is loaded", Outcome.PASSED, area=Area.RECOVERY))
        begin = _end_of(head or Head(), sections)
        whole = _has_accounts(path, sections)
        return await replayed(site, enclosure, scratch, begin, whole_cluster=whole)

    async def _server(self, site: Site, enclosure: Enclosure) -> Scratch:
        if site not in self._tools:
            found = await find_tools(site, ("install",))
            if isinstance(found, Check):
                raise ActionFailed(found.detail)
            self._tools[site] = found
        await initialise(enclosure, self._tools[site])
        return await start(site, enclosure, self._tools[site])

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG002 - the port
        return await fence_checks(enclosure, restored)

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        return await soundness(site, enclosure, restored)


async def sums(site: Site) -> list[Check]:
    """The backup's files against the manifest beside it, where there is one."""
    path = Path(site.backup.path)
    name = "checksums of its files"
    try:
        known = await asyncio.to_thread(manifest.read, path)
        if known is None:
            return []
        wrong = await site.unless_stopped(asyncio.to_thread(manifest.wrong_files, path, known))
    except ActionFailed as error:
        return [checked(name, Outcome.FAILED, error.message, Area.MEDIA)]
    outcome = Outcome.FAILED if wrong else Outcome.PASSED
    detail = "; ".join(wrong[:5]) if wrong else f"{len(known.files)} as its manifest says"
    return [Check(area=Area.MEDIA, name=name, outcome=outcome, detail=detail, items=tuple(wrong))]


def _dump(site: Site) -> Path:
    """Raises ActionFailed where it went away since the catalogue was read."""
    path = dump_of(Path(site.backup.path))
    if path is None:
        raise ActionFailed(f"{site.backup.path} is no dump, or is gone")
    return path


def _end_of(head: Head, sections: Sections) -> Start:
    file, offset = head.position or sections.position or ("", 4)
    return Start(file, offset, head.gtid or sections.gtid)


def _whole(found: Sections) -> Check:
    outcome, said = Outcome.PASSED, f"{found.lines} lines, to `-- Dump completed`"
    if not found.comments:
        outcome, said = Outcome.SKIPPED, "made without comments: it has no last line to be looked for"
    elif not found.completed:
        outcome = Outcome.FAILED
        said = "its last line, `-- Dump completed`, is not there: it was cut off, or mysqldump failed"
    return checked("the dump is whole", outcome, said, Area.MEDIA)


def _has_accounts(path: Path, sections: Sections) -> bool:
    return sections.accounts or (path.name.startswith(INSIDE) and (path.parent / USERS).is_file())


async def _load_all(
    site: Site, enclosure: Enclosure, scratch: Scratch, what: tuple[Path, Head, Sections]
) -> str:
    """The dump, and the accounts beside it. Why it stopped; empty where all is loaded."""
    path, head, sections = what
    if head.database:
        name = quote_ident(head.database, "mysql")
        await told(enclosure, scratch.target, f"CREATE DATABASE IF NOT EXISTS {name}")
    beside = path.parent / USERS
    apart = path.name.startswith(INSIDE) and beside.is_file()
    if apart:
        await clear_accounts(enclosure, scratch)
        await prepare_accounts(enclosure, scratch, beside)
    fitted = sections.flushes or sections.accounts
    why = await load(site, enclosure, scratch, path, database=head.database, fitted=fitted)
    if not why and apart:
        await clear_roles(enclosure, scratch)
        why = await load(site, enclosure, scratch, beside)
    if not why:
        await let_in_again(enclosure, scratch)
    return why
