"""Backups of Barman restored by itself, then recovered from the WAL that it brought along."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from pathlib import Path

from actions import postgres_fence as fence
from actions import postgres_integrity, postgres_recovery
from actions.postgres_fence import Cluster
from actions.postgres_recovery import Recovery
from actions.restore_pg_physical import (
    NEEDED,
    REPLAY_ROOM,
    cleaned,
    first_segment,
    physical_programs,
    physical_tools,
    verified,
)
from actions.restore_progress import filling
from actions.restoring import Restored, Site, Space
from actions.wal_archives import Archive, fetching
from console.backups import barman, tools
from console.dispatch.enclosure import POSTGRES, Enclosure, Work
from console.dispatch.lease import Account
from console.errors import ActionFailed
from console.model.drills import Area, Check, Outcome, PhaseName

_WAL = "barman_wal"  # where Barman puts WAL for a recovery to a target, below the data directory
_DIRECTORY = re.compile(r'"basebackups_directory": "([^"]+)"')
_SHOWN = 12
_BAD = (
    "does not exist",
    "No such file",
    "not in gzip format",
    "unexpected end of file",
    "crc error",
    "missing",
)


class BarmanRestorer:
    kind = POSTGRES

    async def tools(self, site: Site) -> list[Check]:
        missing = [name for name in ("barman", "rsync") if tools.program(name) is None]
        if missing:
            why = f"{' and '.join(missing)} not installed on this machine"
            return [Check(area=Area.GROUND, name="tools", outcome=Outcome.BROKEN, detail=why)]
        program = tools.program("barman")
        if program is not None:
            major, minor = await tools.version_of(program)
            site.tools["barman"] = f"{major}.{minor}"
        return await physical_tools(site, NEEDED)

    async def space(self, site: Site) -> Space:
        """Barman copies all WAL from the backup on, unpacked."""
        found = await barman.segments(site.source, site.backup.id)
        size = int((site.backup.bytes or 0) * 1.1) + len(found) * (16 << 20)
        return Space(bytes=size + REPLAY_ROOM, inodes=20_000, why="its size by Barman, a tenth, and its WAL")

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:
        """Its files against backup_manifest, which Barman keeps where pg_basebackup took it."""
        place = await _place(site)
        if place is None:
            why = "Barman does not tell where its files are"
            name = "files as backup_manifest says"
            return [Check(area=Area.MEDIA, name=name, outcome=Outcome.SKIPPED, detail=why)]
        return [await verified(site, enclosure, place / site.backup.id / "data")]

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        programs = await physical_programs(site, NEEDED)
        made = fence.cluster(enclosure, programs.folder, programs.major)
        spaces = enclosure.folder("spaces")
        async with site.phase(PhaseName.RESTORE, site.backup.bytes):
            check = await filling(
                site, (made.data, spaces), site.backup.bytes, _recover(site, enclosure, made)
            )
        site.checks.append(check)
        first = await asyncio.to_thread(first_segment, made.data)
        if check.outcome is not Outcome.PASSED or not await cleaned(site, enclosure, made):
            return None
        # It lies in the copy already; segments that are missing are told by the list.
        found = await barman.segments(site.source, site.backup.id)
        archive = Archive(fetching(made.data / _WAL), found)
        return await postgres_recovery.recover(Recovery(site, enclosure, made, archive, first))

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG002
        return await fence.fence(enclosure, restored)

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        return await postgres_integrity.checks(site, enclosure, restored)


async def _place(site: Site) -> Path | None:
    """The folder of all base backups of this server."""
    try:
        said = await barman.ask(site.source, ["-f", "json", "show-servers", str(site.source.server)])
    except ActionFailed:
        return None
    found = _DIRECTORY.search(said.decode("utf-8", "replace"))
    return Path(found[1]) if found else None


async def _recover(site: Site, enclosure: Enclosure, made: Cluster) -> Check:
    """As Barman's own user, which root must become and anybody else must be."""
    shown = await barman.show(site.source, site.backup.id)
    account = await asyncio.to_thread(_account, site, enclosure)
    spaces = enclosure.root / "spaces"
    for folder in (made.data, spaces):
        if account.uid != enclosure.account.uid:
            os.chown(folder, account.uid, account.gid)
    mapped = [f"--tablespace={one.name}:{spaces / one.name}" for one in shown.tablespaces]
    target = ["--target-time", f"{site.to_time:%Y-%m-%d %H:%M:%S.%f%z}"] if site.to_time else []
    more = ["recover", *mapped, *target, str(site.source.server), site.backup.id, str(made.data)]
    work = Work(barman.words(site.source, more), f"restore {site.backup.id}", account=account)
    ended = await enclosure.run(work)
    for folder in (made.data, spaces):
        await asyncio.to_thread(enclosure.hand_over, folder)
    said = (ended.answer.decode("utf-8", "replace") + ended.complaint).strip().splitlines()[-_SHOWN:]
    errors = [line for line in said if "ERROR" in line or "Error" in line]
    return Check(
        area=Area.MEDIA,
        name="restore by Barman",
        outcome=Outcome.PASSED if ended.code == 0 else _outcome(said),
        detail="" if ended.code == 0 else (errors[-1] if errors else ended.why),
        items=() if ended.code == 0 else tuple(said),
    )


def _outcome(said: list[str]) -> Outcome:
    """What is not there, or cannot be unpacked, is the backup's fault; anything else may be ours."""
    text = "\n".join(said)
    bad = (
        "does not exist",
        "No such file",
        "not in gzip format",
        "unexpected end of file",
        "crc error",
        "missing",
    )
    return Outcome.FAILED if any(one in text for one in bad) else Outcome.BROKEN


def _account(site: Site, enclosure: Enclosure) -> Account:
    """With the group of the enclosure, so that it gets in. Raises ActionFailed where there is none."""
    name = barman.user(site.source)
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ActionFailed(f"Barman's user {name} is not on this machine") from None
    if os.geteuid() not in (0, uid):
        raise ActionFailed(f"Barman must run as {name}: run dbdeck as {name}, or as root")
    return Account(uid, enclosure.account.gid)
