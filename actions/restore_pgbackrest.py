"""Backups of pgBackRest restored by itself, which compares each file with its checksum; then recovered.

What WAL there is, is listed: its own `verify` and `info` say nothing of a segment that is missing in the
middle (seen with 2.45), and a restore then ends there without an error.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

from actions import postgres_fence as fence
from actions import postgres_integrity, postgres_recovery
from actions.postgres_fence import Cluster
from actions.postgres_recovery import Recovery
from actions.restore_pg_physical import REPLAY_ROOM, cleaned, first_segment, physical_programs, physical_tools
from actions.restoring import Restored, Site, Space
from actions.wal_archives import Archive, fetching
from console.backups import pgbackrest, tools, wal
from console.backups.wal import Segment
from console.dispatch.enclosure import POSTGRES, Enclosure, Work
from console.model.backups import seconds_of
from console.model.drills import Area, Check, Outcome, PhaseName

_NEEDED = ("pg_controldata",)
_RESTORED = re.compile(r"restore file (\S.*) \([\d.]+\w+, ([\d.]+)%\)")
_INVALID = re.compile(r"((?:invalid|unable) \w+|missing file|\w+ missing)\b.*'([^']+)'")
_ERROR = re.compile(r"\b(?:ERROR|WARN): (.*)$")


class PgBackRestRestorer:
    kind = POSTGRES

    async def tools(self, site: Site) -> list[Check]:
        found = tools.program("pgbackrest")
        if found is None:
            why = "pgbackrest is not installed on this machine"
            return [Check(area=Area.GROUND, name="tools", outcome=Outcome.BROKEN, detail=why)]
        major, minor = await tools.version_of(found, "version")
        site.tools["pgbackrest"] = f"{major}.{minor}"
        return await physical_tools(site, _NEEDED)

    async def space(self, site: Site) -> Space:
        size = int((site.backup.bytes or 0) * 1.1)
        return Space(bytes=size + REPLAY_ROOM, inodes=20_000, why="its size by pgBackRest, a tenth, and WAL")

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:  # noqa: ARG002 - the port
        """The checksums are compared while it is restored; here, whether its list can be read."""
        stanza = await site.unless_stopped(pgbackrest.info(site.source))
        bad = stanza.status.code != 0
        return [
            Check(
                area=Area.MEDIA,
                name="repository",
                outcome=Outcome.FAILED if bad else Outcome.PASSED,
                detail=f"pgBackRest says: {stanza.status.message}",
            )
        ]

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        programs = await physical_programs(site, _NEEDED)
        made = fence.cluster(enclosure, programs.folder, programs.major)
        way = _Way(site, enclosure, made, await asyncio.to_thread(pgbackrest.repository, site.source))
        async with site.phase(PhaseName.RESTORE, site.backup.bytes):
            check = await way.restored()
        site.checks.append(check)
        first = await asyncio.to_thread(first_segment, made.data)
        if check.outcome is not Outcome.PASSED or not await cleaned(site, enclosure, made):
            return None
        archive = await way.archive(first)
        return await postgres_recovery.recover(Recovery(site, enclosure, made, archive, first))

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG002
        return await fence.fence(enclosure, restored)

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        return await postgres_integrity.checks(site, enclosure, restored)


# Of its errors (error.auto.c), those that tell of the repository's files: checksum, invalid file, format,
# read, archive mismatch, backup mismatch, missing file, invalid backup set. All others are about its run.
_BAD = frozenset((26, 28, 29, 42, 44, 51, 55, 75))
_CODE = re.compile(r"\[(\d{3})\]")


def _of_backup(said: list[str]) -> bool:
    codes = {int(found[1]) for one in said if (found := _CODE.search(one))}
    return bool(codes & _BAD) and not any("No space left" in one for one in said)


class _Way:
    """pgBackRest at work in an enclosure. A repository on this machine is read without a network, and by the
    server's user; one beyond it as ourselves, who have its keys.
    """

    def __init__(self, site: Site, enclosure: Enclosure, made: Cluster, of: pgbackrest.Repository) -> None:
        self._site = site
        self._enclosure = enclosure
        self._made = made
        self._of = of
        self._own = enclosure.folder("pgbackrest")

    def _words(self, more: list[str]) -> list[str]:
        own = [f"--{name}-path={self._own}" for name in ("lock", "log")]
        local = [f"--pg1-path={self._made.data}", *(["--reset-pg1-host"] if self._of.hosted else [])]
        return [*pgbackrest.words(self._site.source, own), *local, *more]

    def _work(self, argv: list[str], what: str) -> Work:
        return Work(argv, what, reads=not self._of.remote, online=self._of.remote, ours=self._of.remote)

    async def restored(self) -> Check:
        said: list[str] = []

        def hear(line: str) -> None:
            found = _RESTORED.search(line)
            if found:
                self._site.advance(PhaseName.RESTORE, float(found[2]), 100.0, "%")
            error = _ERROR.search(line)
            if error and len(said) < 50:
                said.append(error[1])

        spaces = self._enclosure.folder("spaces")
        more = [f"--set={self._site.backup.id}", "--type=none", f"--tablespace-map-all={spaces}"]
        more += [f"--process-max={self._site.source.jobs}", "--log-level-console=detail", "restore"]
        work = self._work(self._words(more), f"restore {self._site.backup.id}")._replace(line=hear, both=True)
        ended = await self._site.unless_stopped(self._enclosure.run(work))
        if self._of.remote:
            for folder in (self._made.data, spaces):
                await asyncio.to_thread(self._enclosure.hand_over, folder)
        bad = Outcome.FAILED if _of_backup(said) else Outcome.BROKEN
        if ended.code != 0 and bad is Outcome.FAILED:
            said = [*await self._named(), *said]
        return Check(
            area=Area.MEDIA,
            name="restore with checksums by pgBackRest",
            outcome=Outcome.PASSED if ended.code == 0 else bad,
            detail="" if ended.code == 0 else (said[0] if said else ended.why),
            items=() if ended.code == 0 else tuple(said),
        )

    async def _named(self) -> list[str]:
        """The damaged files, by its `verify`: an error of the restore does not always name one. It ends with
        exit code 0 whatever it found.
        """
        found: list[str] = []

        def hear(line: str) -> None:
            named = _INVALID.search(line)
            if named and len(found) < 50:
                found.append(f"{named[1]} of {named[2]}")

        seconds = seconds_of(self._site.rule.budget)
        more = [f"--process-max={self._site.source.jobs}", "--log-level-console=info", "verify"]
        argv = pgbackrest.words(self._site.source, more)
        work = self._work(argv, "name what is damaged")._replace(line=hear, both=True, seconds=seconds)
        await self._site.unless_stopped(self._enclosure.run(work))
        return found

    async def archive(self, first: str) -> Archive:
        stanza = await pgbackrest.info(self._site.source)
        name = stanza.archive_of(self._site.backup.id)
        found = await self._site.unless_stopped(pgbackrest.segments(self._site.source, name))
        begin = wal.segment(first)
        if not self._of.remote and begin is not None and await self._answers(begin):
            return Archive(self._command(), found)
        return Archive(fetching(await self._staged(found, begin)), found)

    def _command(self) -> str:
        said = shlex.join(self._words(["archive-get"])).replace("%", "%%")
        return f'{said} %f "%p"'

    async def _answers(self, begin: Segment) -> bool:
        """Whether the server's user can ask for WAL itself, in its fence."""
        place = str(self._own / "tried")
        work = Work(
            self._words(["archive-get", begin.name(), place]), "see whether the server may ask for WAL"
        )
        return (await self._site.unless_stopped(self._enclosure.run(work))).code == 0

    async def _staged(self, found: tuple[Segment, ...], begin: Segment | None) -> Path:
        """WAL from the backup's first segment on, fetched beforehand: the fenced server cannot."""
        stage = self._enclosure.folder("wal")
        wanted = sorted({one for one in found if begin is None or one.number >= begin.number})
        names = [one.name() for one in wanted]
        names += [f"{one:08X}.history" for one in sorted({each.timeline for each in wanted}) if one > 1]
        room = asyncio.Semaphore(self._site.source.jobs)

        async def fetch(name: str) -> None:
            async with room:
                argv = self._words(["archive-get", name, str(stage / name)])
                # One that cannot be had is missing for the recovery, too, and told by it.
                await self._enclosure.run(self._work(argv, f"fetch {name}"))

        async with self._site.phase(PhaseName.RECOVER):
            await self._site.unless_stopped(asyncio.gather(*(fetch(name) for name in names)))
        await asyncio.to_thread(self._enclosure.hand_over, stage)
        return stage
