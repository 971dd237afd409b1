"""A physical copy of PostgreSQL on its way up: WAL replayed to a time or to the end, and how far it came.

That a server comes up proves little: with a segment missing in the middle it comes up as well, and has lost
all that came after. So what it replayed is compared with what the archive holds.
"""

from __future__ import annotations

import asyncio
import re
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from actions import postgres_fence as fence
from actions import restore_errors
from actions.postgres_fence import Cluster
from actions.restoring import Restored, Site
from actions.wal_archives import Archive
from console.backups import wal
from console.backups.wal import Span
from console.dispatch.enclosure import Enclosure, Work
from console.errors import ActionFailed, DbdeckError
from console.model.drills import Area, Check, Outcome, PhaseName
from console.model.target import Target

_LOOK_SECONDS = 0.2
# Of the copy's own configuration nothing is wanted, and its hooks and targets least of all. Nobody gets in
# before recovery has ended.
_SETTINGS = {
    "restore_command": "",
    "recovery_end_command": "",
    "archive_cleanup_command": "",
    "hot_standby": "off",
    "wal_level": "replica",
    "restart_after_crash": "off",
}
_UNWANTED = ("postmaster.pid", "postmaster.opts", "recovery.signal", "standby.signal", "recovery.conf")


class Story(msgspec.Struct):
    """What the server's log told of its recovery. Words of xlogrecovery.c and xlog.c, in every version."""

    restored: int = 0
    last_restored: str = ""
    stopped_at: str = ""
    last_commit: datetime | None = None
    ready: bool = False
    fatal: str = ""

    def hear(self, line: str) -> None:
        if 'restored log file "' in line:
            self.restored += 1
            self.last_restored = line.split('"')[1]
        elif "recovery stopping " in line:
            self.stopped_at = line.partition("recovery stopping ")[2]
        elif "last completed transaction was at log time " in line:
            self.last_commit = _logged(line.rpartition("log time ")[2])
        elif "database system is ready to accept connections" in line:
            self.ready = True
        elif "FATAL:" in line or "PANIC:" in line:
            self.fatal = (
                self.fatal or line.partition("FATAL:")[2].strip() or line.partition("PANIC:")[2].strip()
            )


def _logged(text: str) -> datetime | None:
    """`2026-11-26 15:32:31.123456+00`, as log_timezone is UTC."""
    found = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\+00", text.strip())
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None


class Recovery(NamedTuple):
    """One copy in the enclosure that is to be recovered."""

    site: Site
    enclosure: Enclosure
    made: Cluster
    archive: Archive
    first_segment: str


async def cleaned(enclosure: Enclosure, data: Path) -> list[str]:
    """Take away what would make the copy act as the server it is of. Gives what was found.

    Raises ActionFailed where a link in it leads to somewhere else.
    """
    said = await asyncio.to_thread(_cleaned, data)
    out = await asyncio.to_thread(enclosure.way_out)
    if out is not None:
        leads = (enclosure.root / out).readlink()
        raise ActionFailed(f"{out} of the copy is a link to {leads}, outside of the enclosure")
    return said


def _cleaned(data: Path) -> list[str]:
    said = []
    for name in _UNWANTED:
        path = data / name
        if path.is_symlink() or path.exists():
            path.unlink()
            said.append(f"{name} was taken away")
    own = data / "postgresql.auto.conf"
    if own.exists():
        lines = [
            one for one in own.read_text(errors="replace").splitlines() if one and not one.startswith("#")
        ]
        own.unlink()
        said += [f"{len(lines)} settings of postgresql.auto.conf were not used"] if lines else []
    for slot in (data / "pg_replslot").iterdir() if (data / "pg_replslot").is_dir() else ():
        _remove(slot)
        said.append(f"replication slot {slot.name} was taken away")
    return said


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()


async def control(site: Site, enclosure: Enclosure, made: Cluster) -> dict[str, str]:
    """Raises ActionFailed where the copy's control file cannot be read."""
    work = Work([made.program("pg_controldata"), str(made.data)], "read the control file of the copy")
    ended = await site.unless_stopped(enclosure.run(work))
    if ended.code != 0:
        raise ActionFailed(f"pg_controldata {ended.why}")
    return fence.controlled(ended.answer.decode("utf-8", "replace"))


async def recover(job: Recovery) -> Restored | None:
    """Its checks go to `site.checks`; None where it did not come up, or nobody could look into it."""
    site = job.site
    try:
        known = await control(site, job.enclosure, job.made)
        settings = {**_SETTINGS, **fence.minima(known), **_targeted(site, job.archive)}
    except ActionFailed as error:
        site.checks.append(_came_up(error.message))
        return None
    size = int(known.get("Bytes per WAL segment", wal.SEGMENT_BYTES))
    if job.archive.command:
        job.enclosure.write(job.made.data / "recovery.signal", "")
    span = await asyncio.to_thread(_span, job, size)
    async with site.phase(PhaseName.RECOVER):
        await fence.start(job.enclosure, job.made, settings, "the copy, to replay its WAL")
        story = await site.unless_stopped(_until_up(job, span))
    if not story.ready:
        site.checks += [_came_up(_why(story)), *_gaps(site, span, story, size)]
        return None
    return await _seen(job, span, story, size)


def _targeted(site: Site, archive: Archive) -> dict[str, str]:
    settings = {"restore_command": archive.command} if archive.command else {}
    if site.to_time is None:
        return settings
    at = site.to_time.astimezone(UTC)
    return {
        "restore_command": archive.command or "false",
        "recovery_target_time": f"{at:%Y-%m-%d %H:%M:%S.%f}+00",
        "recovery_target_action": "promote",
        "recovery_target_inclusive": "on",
        "recovery_target_timeline": "latest",
    }


def _span(job: Recovery, size: int) -> Span | None:
    first = wal.segment(job.first_segment, size)
    if first is None or not job.archive.command:
        return None
    own = [wal.segment(path.name, size) for path in (job.made.data / "pg_wal").iterdir()]
    return wal.span(first, job.archive.segments, [one for one in own if one is not None])


async def _until_up(job: Recovery, span: Span | None) -> Story:
    """Until it takes logins or has ended; it takes as long as it takes."""
    story, total = Story(), span.segments if span else 0
    with job.made.log.open("rb") as log:
        rest = b""
        while True:
            serving = job.enclosure.serving
            *lines, rest = (rest + await asyncio.to_thread(log.read)).split(b"\n")
            for line in lines:
                story.hear(line.decode("utf-8", "replace"))
            job.site.advance(PhaseName.RECOVER, story.restored, total or None, "segments")
            if story.ready or not serving:
                return story
            await asyncio.sleep(_LOOK_SECONDS)


def _why(story: Story) -> str:
    return story.fatal or "the server ended"


def _came_up(why: str) -> Check:
    outcome = Outcome.BROKEN if restore_errors.of_this_machine(why) else Outcome.FAILED
    return Check(area=Area.RECOVERY, name="recovery", outcome=outcome, detail=why)


# ---- how far it came -----------------------------------------------------------------------------

_REPLAYED = """
select pg_catalog.pg_last_wal_replay_lsn()::text, pg_catalog.pg_last_xact_replay_timestamp(),
    pg_catalog.pg_is_in_recovery()
"""
_DATABASES = """
select datname from pg_catalog.pg_database where not datistemplate and datallowconn
order by datname = 'postgres', datname
"""


async def _seen(job: Recovery, span: Span | None, story: Story, size: int) -> Restored | None:
    site = job.site
    target = await _entered(job)
    if target is None:
        return None
    ((lsn, newest, recovering),) = await fence.ask(
        job.enclosure, target, _REPLAYED, "look how far it replayed"
    )
    names = [
        str(name) for (name,) in await fence.ask(job.enclosure, target, _DATABASES, "look at the databases")
    ]
    at = newest if isinstance(newest, datetime) else story.last_commit
    far = f"replayed to {lsn}" + (f", last commit at {at:%Y-%m-%d %H:%M:%S%z}" if at else "")
    site.checks.append(
        Check(
            area=Area.RECOVERY,
            name="recovery",
            outcome=Outcome.FAILED if recovering else Outcome.PASSED,
            detail="it is still in recovery" if recovering else far,
        )
    )
    site.checks += _reached(site, span, story, str(lsn or ""), size)
    restored = Restored(
        target=msgspec.structs.replace(target, database=names[0] if names else "postgres"),
        databases=tuple(names),
        newest=at,
        newest_from="the last commit that was replayed" if at else "",
    )
    site.checks.append(await fence.neutralise(job.enclosure, restored))
    return restored


def _reached(site: Site, span: Span | None, story: Story, lsn: str, size: int) -> list[Check]:
    """Whether it came to its target, or to the end of what the archive holds."""
    if site.to_time is not None:
        return [_target_reached(story)]
    if span is None:
        return []
    return _gaps(site, span, story, size) or [_to_the_end(span, lsn, size)]


def _target_reached(story: Story) -> Check:
    name = "recovery target"
    if not story.stopped_at:
        why = "the log does not say that it stopped there"
        return Check(area=Area.RECOVERY, name=name, outcome=Outcome.FAILED, detail=why)
    return Check(area=Area.RECOVERY, name=name, outcome=Outcome.PASSED, detail=f"stopped {story.stopped_at}")


def _gaps(site: Site, span: Span | None, story: Story, size: int) -> list[Check]:
    """Segments that are missing between the first that is needed and the last there is."""
    if span is None or not span.missing or (site.to_time is not None and story.stopped_at):
        return []
    names = [one.name(size) for one in span.missing]
    last = span.last.name(size) if span.last else "?"
    return [
        Check(
            area=Area.RECOVERY,
            name="WAL without a gap",
            outcome=Outcome.FAILED,
            detail=f"{names[0]} is missing ({len(names)} in all), while the archive goes on to {last}: "
            "what came after it cannot be recovered",
            items=tuple(names[:200]),
        )
    ]


def _to_the_end(span: Span, lsn: str, size: int) -> Check:
    """By the segment of the last byte that was replayed."""
    name = "recovered to the end of the archive"
    try:
        reached = (wal.position(lsn) - 1) // size
    except ValueError:
        return Check(
            area=Area.RECOVERY, name=name, outcome=Outcome.BROKEN, detail=f"it says it is at {lsn!r}"
        )
    if span.last is None:
        why = "the archive has no segment that this backup needs or that is newer"
        return Check(area=Area.RECOVERY, name=name, outcome=Outcome.FAILED, detail=why)
    short = reached < span.last.number
    return Check(
        area=Area.RECOVERY,
        name=name,
        outcome=Outcome.FAILED if short else Outcome.PASSED,
        detail=f"replayed to {lsn}, {'but' if short else 'and'} the archive goes to {span.last.name(size)}",
    )


async def _entered(job: Recovery) -> Target | None:
    """A superuser's way in; of a copy nobody knows their names, so the usual ones are tried first."""
    login = job.site.source.login
    names = [fence.SUPERUSER, *([login.user] if login else [])]
    why = ""
    for name in names:
        target = fence.target_of(job.made, name)
        try:
            ((able,),) = await fence.ask(job.enclosure, target, _SUPER, f"log in as {name}")
            if able:
                return target
            why = f"{name} is no superuser"
        except DbdeckError as error:
            why = error.message
    found = await _bootstrap_user(job)
    if found:
        return fence.target_of(job.made, found)
    job.site.checks.append(
        Check(
            area=Area.RECOVERY,
            name="a way in",
            outcome=Outcome.BROKEN,
            detail=f"no superuser is known: {why}",
        )
    )
    return None


_SUPER = "select rolsuper from pg_catalog.pg_roles where rolname = current_user"
_NAMED = re.compile(rb'rolname = "([^"\n]*)"')


async def _bootstrap_user(job: Recovery) -> str:
    """The role that initdb made, by a look without a login; the server is started again afterwards."""
    await job.enclosure.stop(signal.SIGINT)
    argv = fence.argv(job.made, {"hot_standby": "off"})
    words = [argv[0], "--single", *argv[1:], "template1"]
    question = job.enclosure.write(
        job.made.run / "question", "select rolname from pg_authid where oid = 10\n"
    )
    with await asyncio.to_thread(question.open, "rb") as stdin:
        ended = await job.enclosure.run(
            Work(words, "ask for the name of its first role", stdin=stdin, seconds=120)
        )
    found = _NAMED.search(ended.answer)
    if found is None:
        return ""
    await fence.start(job.enclosure, job.made, {"wal_level": "replica"}, "the copy once more")
    target = fence.target_of(job.made, found[1].decode())
    await job.enclosure.answering(target, job.made.log)
    return target.monitor.user
