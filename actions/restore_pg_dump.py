"""Dumps of PostgreSQL restored: pg_restore for archives, psql for scripts, roles first."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from actions import postgres_fence as fence
from actions import postgres_integrity, postgres_scripts, postgres_tools, restore_errors
from actions.postgres_fence import Cluster
from actions.restore_errors import Listener, Script
from actions.restore_progress import Progress, looking, places_in
from actions.restoring import Restored, Site, Space
from console.backups import manifest, pg_archive, pg_dump
from console.backups.pg_archive import Archive
from console.dispatch.enclosure import POSTGRES, Enclosure, Work
from console.engine.port import Statement
from console.errors import ActionFailed
from console.model.drills import Area, Check, Outcome, PhaseName
from console.model.target import Target

_NEEDED = ("postgres", "initdb", "pg_restore", "psql")
# Nothing is to be durable, and COPY into a table of its own transaction writes no WAL then.
_SETTINGS = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "maintenance_work_mem": "256MB",
}
_OPTIONS = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c row_security=off"
_EMPTY_CLUSTER = 64 << 20
_GROWTH = {"none": 2.0, "gzip": 10.0, "lz4": 6.0, "zstd": 12.0}  # data directory to archive, on the safe side
_WAL = 1 << 30
# psql knows \restrict from these minor versions on (CVE-2025-8714).
_RESTRICTS = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
_BLOCK = 1 << 20
_READABLE = "archive readable to its end"


class PgDumpRestorer:
    kind = POSTGRES

    async def tools(self, site: Site) -> list[Check]:
        archive = await _archive(site)
        least = _least(site, archive)
        found = await postgres_tools.find(site.rule.binaries, least, _NEEDED, same=False)
        if found is None:
            return [postgres_tools.lacking(site, least, _NEEDED, same=False)]
        return [postgres_tools.there(site, found, _NEEDED)]

    async def space(self, site: Site) -> Space:
        archive = await _archive(site)
        packed = archive.compression if archive else "gzip" if site.backup.path.endswith(".gz") else "none"
        growth = _GROWTH.get(packed, 12.0)
        size = int((site.backup.bytes or 0) * growth)
        why = f"{growth:g} times the dump (compression: {packed}), 1 GiB of WAL and an empty server"
        return Space(bytes=size + _WAL + _EMPTY_CLUSTER, inodes=5000, why=why)

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:
        path = Path(site.backup.path)
        sums = await site.unless_stopped(asyncio.to_thread(sums_of, path))
        if _is_archive(site):
            return [sums, await self._read_through(site, enclosure)]
        return [sums, await site.unless_stopped(asyncio.to_thread(_whole, path))]

    async def _read_through(self, site: Site, enclosure: Enclosure) -> Check:
        """pg_restore reads all of it and writes nothing: a cut, a missing file and rot in gzip end it."""
        archive = await _archive(site)
        if _endless(archive):
            return Check(area=Area.MEDIA, name=_READABLE, outcome=Outcome.FAILED, detail=pg_archive.CUT)
        programs = await _programs(site)
        heard = Listener()
        start = time.monotonic()
        argv = [_in(enclosure, programs, "pg_restore"), "-f", os.devnull, site.backup.path]
        ended = await site.unless_stopped(
            enclosure.run(Work(argv, "read the whole archive", line=heard, reads=True))
        )
        lacks = heard.of(restore_errors.Cause.ENGINE)
        bad = Outcome.BROKEN if lacks else Outcome.FAILED
        return Check(
            area=Area.MEDIA,
            name=_READABLE,
            outcome=Outcome.PASSED if ended.code == 0 else bad,
            detail="" if ended.code == 0 else (heard.fatal or ended.why),
            items=tuple(one.words for one in heard.faults),
            seconds=time.monotonic() - start,
        )

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        archive = await _archive(site)
        if _endless(archive):
            return None
        programs = await _programs(site)
        async with site.phase(PhaseName.PREPARE):
            made = fence.cluster(enclosure, programs.folder, programs.major)
            await _initialise(site, enclosure, made)
            await fence.start(enclosure, made, _SETTINGS, "an empty server for the dump")
            target = fence.target_of(made, database=_aside(archive))
            await site.unless_stopped(enclosure.answering(target, made.log))
        async with site.phase(PhaseName.RESTORE, site.backup.bytes):
            return await _fill(site, enclosure, made, target)

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG002
        return await fence.fence(enclosure, restored)

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        return await postgres_integrity.checks(site, enclosure, restored)


# ---- what it is ----------------------------------------------------------------------------------


async def _archive(site: Site) -> Archive | None:
    try:
        return await asyncio.to_thread(pg_archive.read, Path(site.backup.path))
    except (ActionFailed, OSError):
        return None


def _endless(archive: Archive | None) -> bool:
    """pg_restore reads on for ever where a tar was cut off (seen with 15, 17 and 18)."""
    return archive is not None and archive.fault == pg_archive.CUT


def _aside(archive: Archive | None) -> str:
    """A database that the dump does not bring: nobody is in the one that is made anew."""
    return "template1" if archive is not None and archive.database == "postgres" else "postgres"


def _is_archive(site: Site) -> bool:
    return site.backup.format in ("custom", "directory", "tar")


def _least(site: Site, archive: Archive | None) -> int | None:
    """The server's version at least, and that of the pg_dump that wrote it."""
    known = [site.backup.version, archive.tool_major if archive else None]
    return max((one for one in known if one is not None), default=None)


async def _programs(site: Site) -> postgres_tools.Programs:
    found = await postgres_tools.find(
        site.rule.binaries, _least(site, await _archive(site)), _NEEDED, same=False
    )
    if found is None:
        raise ActionFailed("the programs that were there before the restore are gone")
    return found


def _in(enclosure: Enclosure, programs: postgres_tools.Programs, name: str) -> str:
    return str(enclosure.usable(programs.folder) / name)


# ---- media ---------------------------------------------------------------------------------------


def sums_of(path: Path) -> Check:
    """The files against the manifest beside them."""
    start = time.monotonic()
    try:
        described = manifest.read(path)
    except ActionFailed as error:
        return Check(area=Area.MEDIA, name="checksums", outcome=Outcome.BROKEN, detail=error.message)
    if described is None:
        why = "there is no manifest of backup.take with it"
        return Check(area=Area.MEDIA, name="checksums", outcome=Outcome.SKIPPED, detail=why)
    wrong = manifest.wrong_files(path, described)
    return Check(
        area=Area.MEDIA,
        name="checksums",
        outcome=Outcome.FAILED if wrong else Outcome.PASSED,
        detail="; ".join(wrong[:3]) or f"{len(described.files)} files as the manifest says",
        items=tuple(wrong),
        seconds=time.monotonic() - start,
    )


def _whole(path: Path) -> Check:
    """A script, read to its end."""
    start = time.monotonic()
    tail, fault = b"", ""
    try:
        if path.suffix == ".gz":
            with pg_dump.opened(path) as file:
                while block := file.read(_BLOCK):
                    tail = (tail + block)[-4096:]
            fault = "" if pg_dump.last_line_there(tail) else pg_dump.CUT
        else:
            fault = "" if pg_dump.ends_well(path) else pg_dump.CUT
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        fault = f"it cannot be read to its end: {error}"
    return Check(
        area=Area.MEDIA,
        name="script complete",
        outcome=Outcome.FAILED if fault else Outcome.PASSED,
        detail=fault,
        seconds=time.monotonic() - start,
    )


# ---- restore -------------------------------------------------------------------------------------


async def _initialise(site: Site, enclosure: Enclosure, made: Cluster) -> None:
    locale = ["--locale=C"]
    if made.major >= 17:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    argv = [made.program("initdb"), "-D", str(made.data), "-U", fence.SUPERUSER, "--auth=trust", "--no-sync"]
    work = Work([*argv, "--encoding=UTF8", "--no-instructions", *locale], "make an empty server")
    ended = await site.unless_stopped(enclosure.run(work))
    if ended.code != 0:
        raise ActionFailed(f"initdb {ended.why}; nothing was restored")


class Job(NamedTuple):
    """A restore at work."""

    site: Site
    enclosure: Enclosure
    made: Cluster
    target: Target

    def connection(self, database: str) -> list[str]:
        return ["-h", str(self.made.run), "-p", str(fence.PORT), "-U", fence.SUPERUSER, "-d", database]

    @property
    def path(self) -> Path:
        return Path(self.site.backup.path)


async def _fill(site: Site, enclosure: Enclosure, made: Cluster, target: Target) -> Restored | None:
    job = Job(site, enclosure, made, target)
    whole = site.backup.format == pg_dump.CLUSTER or await _globals(job)
    archive = await _archive(site) if _is_archive(site) else None
    if archive is not None:
        if not await _able(job, archive):
            return None
        await _archived(job, archive)
    else:
        await _scripted(job)
    if any(one.area is Area.RECOVERY and one.outcome is Outcome.BROKEN for one in site.checks):
        return None  # what this machine could not restore is not missing in the backup
    databases = await _databases(job)
    if not databases:
        return None
    first = msgspec.structs.replace(target, database=databases[0])
    return Restored(target=first, databases=databases, whole_cluster=whole)


_DATABASES = """
select datname from pg_catalog.pg_database
where not datistemplate and datallowconn and (datname <> 'postgres' or $1) order by datname
"""


async def _databases(job: Job) -> tuple[str, ...]:
    """Those that the dump brought; `postgres` is there anyway."""
    wanted = job.site.backup.databases
    own = "postgres" in wanted
    rows = await fence.ask(job.enclosure, job.target, _DATABASES, "look at the databases", own)
    found = [str(name) for (name,) in rows]
    return tuple(one for one in found if not wanted or one in wanted)


async def _globals(job: Job) -> bool:
    """Roles first, without their passwords. False where there are none."""
    path = await asyncio.to_thread(pg_dump.globals_of, job.path)
    if path is None:
        return False
    heard = Script()
    async with _fed(path, filtered=True) as stdin:
        await _psql(job, "postgres", heard, stdin, "restore the roles, without passwords")
    if heard.faults:
        job.site.checks += restore_errors.checks(heard, "psql (globals)", 0.0)
    return True


async def _able(job: Job, archive: Archive) -> bool:
    """Whether this engine has the extensions of the archive; a failed restore would tell it too late."""
    rows = await fence.ask(
        job.enclosure, job.target, "select name from pg_catalog.pg_available_extensions", "look at extensions"
    )
    missing = sorted(set(archive.extensions) - {str(name) for (name,) in rows})
    if missing:
        told = ", ".join(missing)
        job.site.checks.append(
            Check(
                area=Area.RECOVERY,
                name="engine and disk",
                outcome=Outcome.BROKEN,
                detail=f"the engine lacks the extensions {told}: nothing is said of the backup; install them",
                items=tuple(missing),
            )
        )
    return not missing


async def _archived(job: Job, archive: Archive) -> None:
    await _create(job, archive)
    progress, heard = Progress(archive), Listener({one.number: one.label for one in archive.entries})
    start = time.monotonic()

    def line(text: str) -> None:
        progress.hear(text)
        heard(text)

    def look() -> None:
        done = progress.done(places_in(job.path.resolve()))
        job.site.advance(PhaseName.RESTORE, done, progress.total, "B")

    async with looking(look):
        ended = await job.site.unless_stopped(
            job.enclosure.run(
                Work(
                    _pg_restore(job, archive),
                    f"restore {job.site.backup.id}",
                    env={"PGOPTIONS": _OPTIONS},
                    line=line,
                    reads=True,
                )
            )
        )
    checks = restore_errors.checks(heard, "pg_restore", time.monotonic() - start)
    job.site.advance(PhaseName.RESTORE, progress.total, progress.total, "B")
    if ended.code not in (0, 1) or (ended.code == 1 and not heard.faults and not heard.ignored):
        checks.append(_ended(ended.why))
    job.site.checks += checks


def _ended(why: str) -> Check:
    return Check(area=Area.RECOVERY, name="end of the restore", outcome=Outcome.BROKEN, detail=why)


def _pg_restore(job: Job, archive: Archive) -> list[str]:
    """It goes on after an error, so that all of them are known. A tar has only one reader."""
    jobs = [] if archive.format == "tar" else ["-j", str(job.site.source.jobs)]
    argv = [
        job.made.program("pg_restore"),
        *job.connection(_aside(archive)),
        "--create",
        "--no-tablespaces",
        "-v",
    ]
    return [*argv, *jobs, str(job.path)]


async def _create(job: Job, archive: Archive) -> None:
    """The database as it was, in the server's own folder. pg_restore --create finds it there, which it calls
    an error, and sets its properties.

    Where this machine has not its locale, it gets another one, which is told.
    """
    statement = postgres_scripts.without_place(archive.database_statement)
    if not statement:
        return
    if archive.database == "postgres":
        await _run(job, job.target, "drop database postgres", "remove the empty database postgres")
    try:
        await _run(job, job.target, statement, f"create database {archive.database}")
    except ActionFailed as error:
        instead = postgres_scripts.without_locale(statement)
        await _run(job, job.target, instead, f"create database {archive.database} with locale C")
        job.site.checks.append(
            Check(
                area=Area.COLLATION,
                name=f"locale of {archive.database}",
                outcome=Outcome.SKIPPED,
                detail=f"restored with locale C, as this machine has not its own: {error.message}",
            )
        )


async def _run(job: Job, target: Target, sql: str, shown: str) -> None:
    await job.enclosure.execute(target, Statement(sql=sql.strip(), shown=shown, command=True), timeout=120.0)


# ---- scripts -------------------------------------------------------------------------------------


async def _scripted(job: Job) -> None:
    connects = await asyncio.to_thread(_connects, job.path)
    whole = job.site.backup.format == pg_dump.CLUSTER
    database = "postgres"
    if not whole and not connects:
        database = job.site.backup.databases[0]
        await _create_plain(job, database)
    filtered = whole or connects or job.path.suffix == ".gz"
    heard, start = Script(), time.monotonic()
    prelude = await asyncio.to_thread(_prelude, job) if not filtered else None
    async with _fed(job.path, filtered=filtered) as stdin:
        place = _Place(job, stdin)
        async with looking(place.look):
            await _psql(job, database, heard, stdin, f"restore {job.site.backup.id}", prelude)
    job.site.checks += restore_errors.checks(heard, "psql", time.monotonic() - start)


class _Place:
    """How far psql has read a file that it reads itself: we share its position."""

    def __init__(self, job: Job, stdin: IO[bytes]) -> None:
        self._site = job.site
        self._stdin = stdin
        self._size = job.site.backup.bytes

    def look(self) -> None:
        with contextlib.suppress(OSError):  # a pipe has no position
            done = os.lseek(self._stdin.fileno(), 0, os.SEEK_CUR)
            self._site.advance(PhaseName.RESTORE, done, self._size, "B")


def _head(path: Path) -> bytes:
    with pg_dump.opened(path) as file:
        return file.read(1 << 16)


def _connects(path: Path) -> bool:
    """Whether it makes its database itself (pg_dump --create)."""
    return b"\n\\connect " in _head(path)


_ENCODING = re.compile(rb"^SET client_encoding = '([A-Za-z0-9_-]+)';", re.MULTILINE)


async def _create_plain(job: Job, database: str) -> None:
    """A script does not tell the locale of its database."""
    found = _ENCODING.search(await asyncio.to_thread(_head, job.path))
    encoding = found[1].decode() if found else "UTF8"
    if database == "postgres":
        return
    name = '"' + database.replace('"', '""') + '"'
    locale = f"template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'"
    await _run(job, job.target, f"create database {name} {locale}", f"create database {database}")
    job.site.checks.append(
        Check(
            area=Area.COLLATION,
            name=f"locale of {database}",
            outcome=Outcome.SKIPPED,
            detail="a script of pg_dump does not tell the locale; restored with C",
        )
    )


def _prelude(job: Job) -> Path | None:
    """psql runs no command of a script that forbids none itself, where it can be told so (CVE-2025-8714)."""
    if b"\n\\restrict " in _head(job.path):
        return None
    major, minor = (int(one) for one in job.site.tools["psql"].split("."))
    if major < 18 and minor < _RESTRICTS.get(major, 1 << 30):
        return None
    token = os.urandom(16).hex()
    return job.enclosure.write(job.made.run / "prelude.sql", f"\\restrict {token}\n")


async def _psql(
    job: Job, database: str, heard: Script, stdin: IO[bytes], what: str, prelude: Path | None = None
) -> None:
    argv = [job.made.program("psql"), "-X", "-q", "-b", "-v", "ON_ERROR_STOP=0", *job.connection(database)]
    first = ["-f", str(prelude)] if prelude else []
    with open(os.devnull, "wb") as nowhere:  # noqa: ASYNC230, PTH123 - it does not block
        ended = await job.site.unless_stopped(
            job.enclosure.run(
                Work(
                    [*argv, *first, "-f", "-"],
                    what,
                    env={"PGOPTIONS": _OPTIONS},
                    stdin=stdin,
                    stdout=nowhere,
                    line=heard,
                )
            )
        )
    if ended.code != 0:
        job.site.checks.append(_ended(ended.why))


@asynccontextmanager
async def _fed(path: Path, *, filtered: bool) -> AsyncIterator[IO[bytes]]:
    """What psql reads: the file itself, or what is left of it without secrets and foreign folders."""
    if not filtered:
        with await asyncio.to_thread(path.open, "rb") as file:
            yield file
        return
    reading, writing = os.pipe()
    feed = asyncio.create_task(asyncio.to_thread(_feed, path, writing))
    try:
        with os.fdopen(reading, "rb") as end:
            yield end
    finally:
        # Nobody reads any more: the feeder, if it still writes, hears that at once.
        await asyncio.gather(feed, return_exceptions=True)


def _feed(path: Path, descriptor: int) -> None:
    with os.fdopen(descriptor, "wb", buffering=_BLOCK) as pipe, contextlib.suppress(BrokenPipeError):
        try:
            with pg_dump.opened(path) as file:
                pipe.writelines(postgres_scripts.neutral(file))
        except (OSError, EOFError, zlib.error):
            return  # what was read is restored, and the media check has told it
