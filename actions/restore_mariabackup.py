"""Restoring a physical backup of mariadb-backup or xtrabackup: copied, prepared, and started."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from actions.mysql_fence import (
    Tools,
    age_check,
    checked,
    fence_checks,
    find_tools,
    log_end,
    runnable,
    start,
    temporary_folder,
)
from actions.mysql_replay import replayed
from actions.mysql_soundness import soundness
from actions.restore_mydumper import start_of
from actions.restore_mysqldump import sums
from actions.restoring import Restored, Site, Space
from console.backups.mariabackup import CHECKPOINTS, told_in
from console.backups.mysql_programs import Program, find, flavor_of
from console.backups.tools import size_of
from console.dispatch.enclosure import MYSQL, Enclosure, Work
from console.errors import ActionFailed
from console.model.drills import Area, Check, Outcome, PhaseName

_MORE = 700 << 20  # bytes: redo and undo logs, temporary tables
_DONE = "completed OK!"
_PREPARED = ("full-prepared", "log-applied")
# Of this machine and not of the backup: permission denied, no space, too many open files, no memory.
_OF_THE_GROUND = re.compile(
    r"errno:? (?:13|24|28|12)\b|No space left|Permission denied|Cannot allocate memory"
)
# MariaDB from 10.8 on; before, and xtrabackup.
_END_OF_LOG = re.compile(
    r"End of log at LSN=(\d+)|[Ll]og applied to lsn:? (\d+)|recovered (?:up )?to lsn (\d+)"
)
_LOOK_SECONDS = 0.5
_PAGES = ("*.ibd", "*.new", "ibdata*", "undo*")


class PhysicalRestorer:
    kind = MYSQL

    async def tools(self, site: Site) -> list[Check]:
        found = await find_tools(site, ("backup",))
        if isinstance(found, Check):
            return [found]
        checks = [age_check(site, found, physical=True)]
        made_for = found.all["backup"]
        # XtraBackup has its own number, which is that of the server it is for.
        if made_for.series != found.server.series:
            why = f"{made_for.path.name} {made_for.words} cannot prepare files of {found.server.words}"
            checks.append(checked("programs for this version", Outcome.BROKEN, why))
        return checks

    async def space(self, site: Site) -> Space:
        size, files = await asyncio.to_thread(size_of, Path(site.backup.path))
        return Space(bytes=int(size * 1.1) + _MORE, inodes=files + 200, why="its files, and new logs")

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:
        """Every page of InnoDB has a checksum. A backup that is not prepared has whole pages, too."""
        folder = Path(site.backup.path)
        complete = bool(told_in(folder, CHECKPOINTS))
        said = "" if complete else "xtrabackup_checkpoints is not there: it was not finished"
        outcome = Outcome.PASSED if complete else Outcome.FAILED
        checks = [*await sums(site), checked("the backup is whole", outcome, said, Area.MEDIA)]
        tool = await find("innochecksum", flavor_of(site.backup.server), site.rule.binaries)
        if tool is None:
            why = "there is no innochecksum here"
            return [*checks, checked("checksums of pages", Outcome.SKIPPED, why, Area.MEDIA)]
        return [*checks, await _pages(site, enclosure, tool, folder)]

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        tools = await find_tools(site, ("backup",))
        if isinstance(tools, Check):
            raise ActionFailed(tools.detail)
        async with site.phase(PhaseName.RESTORE, site.backup.bytes):
            data = await _copied(site, enclosure)
        async with site.phase(PhaseName.RECOVER):
            why = await _prepared(site, enclosure, tools, data)
            if why:
                site.checks.append(checked("the backup is prepared", Outcome.FAILED, why, Area.RECOVERY))
                return None
            try:
                scratch = await start(site, enclosure, tools, *_layout(data))
            except ActionFailed:
                if enclosure.serving:
                    raise
                why = f"the server does not start on it: {log_end(enclosure)}"
                site.checks.append(checked("the server starts", Outcome.FAILED, why, Area.RECOVERY))
                return None
        site.checks.append(checked("the server starts", Outcome.PASSED, area=Area.RECOVERY))
        begin = start_of(site.backup.label)
        return await replayed(site, enclosure, scratch, begin, whole_cluster=True)

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG002 - the port
        return await fence_checks(enclosure, restored)

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        return await soundness(site, enclosure, restored)


def _paged(folder: Path) -> list[Path]:
    return [one for pattern in _PAGES for one in folder.rglob(pattern)]


async def _pages(site: Site, enclosure: Enclosure, tool: Program, folder: Path) -> Check:
    """By one program that names each file whose pages are wrong."""
    names = [word for pattern in _PAGES for word in ("-o", "-name", pattern)][1:]
    argv = [
        "find",
        str(folder),
        "-type",
        "f",
        "(",
        *names,
        ")",
        "!",
        "-exec",
        runnable(enclosure, tool),
        "{}",
        ";",
    ]
    files = _paged(folder)
    argv += ["-print"]
    heard = await site.unless_stopped(
        enclosure.run(Work(argv, "checksums of the pages of InnoDB", reads=True))
    )
    known = {str(one) for one in files}
    bad = [one for one in heard.answer.decode("utf-8", "replace").splitlines() if one in known]
    items = tuple(str(Path(one).relative_to(folder)) for one in bad)
    detail = f"{len(items)} of {len(files)} files have pages that are not what was written"
    return Check(
        area=Area.MEDIA,
        name="checksums of pages",
        outcome=Outcome.FAILED if items else Outcome.PASSED,
        detail=detail if items else f"{len(files)} files",
        items=items,
    )


async def _copied(site: Site, enclosure: Enclosure) -> Path:
    data = enclosure.folder("data")
    argv = [
        "cp",
        "-r",
        "--preserve=mode,timestamps",
        "--reflink=auto",
        "--",
        f"{site.backup.path}/.",
        str(data),
    ]
    async with _watched(site, data):
        heard = await site.unless_stopped(enclosure.run(Work(argv, "copy the backup", reads=True)))
    if heard.code != 0:
        raise ActionFailed(f"the backup could not be copied: {heard.why}")
    apart = await asyncio.to_thread(lambda: sorted(data.rglob("*.isl")))
    if apart:
        # The server would open the file there, which is the live server's; without it it opens none.
        raise ActionFailed(
            f"{apart[0].relative_to(data)}: a table with a DATA DIRECTORY of its own cannot be restored "
            f"beside the server it is of ({len(apart)} in all)"
        )
    out = await asyncio.to_thread(enclosure.way_out)
    if out is not None:
        leads = (enclosure.root / out).readlink()
        raise ActionFailed(f"{out} of the copy is a link to {leads}, outside of the enclosure")
    return data


@asynccontextmanager
async def _watched(site: Site, data: Path) -> AsyncIterator[None]:
    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            done, _ = await asyncio.to_thread(size_of, data)
            site.advance(PhaseName.RESTORE, done, site.backup.bytes, "bytes")

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _prepared(site: Site, enclosure: Enclosure, tools: Tools, data: Path) -> str:
    """Why it could not be made consistent; empty where it is. Only the last line is to be believed."""
    if told_in(data, CHECKPOINTS).get("backup_type") in _PREPARED:
        return ""
    argv = [runnable(enclosure, tools.all["backup"]), "--no-defaults", "--prepare", f"--target-dir={data}"]
    argv += [f"--tmpdir={temporary_folder(enclosure)}", "--use-memory=256M"]
    work = Work(argv, "make the copy consistent", both=True)
    lines: list[str] = []
    heard = await site.unless_stopped(enclosure.run(work._replace(line=lines.append)))
    if heard.code == 0 and any(_DONE in line for line in lines[-3:]):
        return _short_of(data, lines, site)
    if ground := next((line for line in lines if _OF_THE_GROUND.search(line)), ""):
        raise ActionFailed(f"the copy could not be prepared here: {ground.strip()[:300]}")
    wrong = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")
    return f"{tools.all['backup'].path.name} {heard.how}: {wrong.strip()[:300]}"


def _short_of(data: Path, lines: list[str], site: Site) -> str:
    """Why not all of its redo log was applied. mariadb-backup says `completed OK!` also after half of one,
    and what is committed in the rest is lost.
    """
    wanted = told_in(data, CHECKPOINTS).get("last_lsn", "")
    ends = [max(filter(None, found.groups())) for found in map(_END_OF_LOG.search, lines) if found]
    name = "its log is applied to its end"
    if not ends or not wanted.isdigit():
        why = "the program does not tell how far it came"
        site.checks.append(checked(name, Outcome.SKIPPED, why, Area.RECOVERY))
        return ""
    if int(ends[-1]) < int(wanted):
        return f"its redo log ends at {ends[-1]}, before {wanted}: it was cut off, and what follows is lost"
    site.checks.append(checked(name, Outcome.PASSED, f"to {ends[-1]}", Area.RECOVERY))
    return ""


def _layout(data: Path) -> Iterator[str]:
    """What its files were made with, and the server must be told again."""
    made = told_in(data, ("backup-my.cnf",))
    for name in ("innodb_data_file_path", "innodb_page_size", "innodb_undo_tablespaces"):
        if made.get(name):
            yield f"--{name.replace('_', '-')}={made[name]}"
