"""Base backups of pg_basebackup restored: copied or unpacked as they are, checked, and recovered."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from actions import postgres_fence as fence
from actions import postgres_integrity, postgres_recovery, postgres_tools
from actions.postgres_fence import Cluster
from actions.postgres_recovery import Recovery
from actions.restore_pg_dump import sums_of
from actions.restore_progress import filling
from actions.restoring import Restored, Site, Space
from actions.wal_archives import archive_in
from console.backups import manifest, pg_basebackup, tools
from console.dispatch.enclosure import POSTGRES, Enclosure, Work
from console.errors import ActionFailed
from console.model.drills import Area, Check, Outcome, PhaseName

NEEDED = ("pg_controldata", "pg_verifybackup")
REPLAY_ROOM = 2 << 30  # WAL that was restored is recycled; this much lies there at most
_UNPACK = {
    ".gz": ("--gzip", "gzip"),
    ".lz4": ("--use-compress-program=lz4 -d", "lz4"),
    ".zst": ("--zstd", "zstd"),
}
_WRONG = re.compile(r"pg_verifybackup: error: (.*)$")
_SAID = 200


class PgBasebackupRestorer:
    kind = POSTGRES

    async def tools(self, site: Site) -> list[Check]:
        if any(one.startswith(pg_basebackup.INCREMENTAL) for one in site.backup.notes):
            why = "an incremental backup is restored with those it builds on: join them with pg_combinebackup"
            return [Check(area=Area.GROUND, name="tools", outcome=Outcome.BROKEN, detail=why)]
        tar = await asyncio.to_thread(pg_basebackup.tar_of, Path(site.backup.path))
        unpacker = _UNPACK.get(tar.suffix) if tar else None
        if unpacker and tools.program(unpacker[1]) is None:
            why = f"{unpacker[1]} is not installed, which {tar} is compressed with"
            return [Check(area=Area.GROUND, name="tools", outcome=Outcome.BROKEN, detail=why)]
        return await physical_tools(site, NEEDED)

    async def space(self, site: Site) -> Space:
        described = await asyncio.to_thread(_described, site)
        size = described.bytes if described else (site.backup.bytes or 0)
        files = len(described.files) if described else (site.backup.files or 0)
        why = "the files of its manifest" if described else "its files as they lie there"
        return Space(bytes=int(size * 1.1) + REPLAY_ROOM, inodes=files + 1000, why=f"{why}, a tenth, and WAL")

    async def media(self, site: Site, enclosure: Enclosure) -> list[Check]:
        path = Path(site.backup.path)
        sums = await site.unless_stopped(asyncio.to_thread(sums_of, path))
        if site.backup.format != "plain":
            return [sums]  # a tar file is verified when it is unpacked
        return [sums, await verified(site, enclosure, path)]

    async def restore(self, site: Site, enclosure: Enclosure) -> Restored | None:
        programs = await physical_programs(site, NEEDED)
        path = Path(site.backup.path)
        async with site.phase(PhaseName.RESTORE, site.backup.bytes):
            made = fence.cluster(enclosure, programs.folder, programs.major)
            fault = await _copied(site, enclosure, made, path)
        if fault is not None:
            site.checks.append(fault)
            return None
        if site.backup.format == "tar":
            async with site.phase(PhaseName.MEDIA):
                site.checks.append(await verified(site, enclosure, made.data))
            await asyncio.to_thread(_map, enclosure, made.data)
        return await recovered(site, enclosure, made)

    async def fence(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG002
        return await fence.fence(enclosure, restored)

    async def integrity(self, site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:
        return await postgres_integrity.checks(site, enclosure, restored)


# ---- what all physical backups have in common ------------------------------------------------------


async def physical_tools(site: Site, needed: tuple[str, ...]) -> list[Check]:
    """Only programs of the same major version can read a copy of files."""
    if site.backup.version is None:
        why = "the backup does not tell its major version, and only that can read it"
        return [Check(area=Area.GROUND, name="tools", outcome=Outcome.BROKEN, detail=why)]
    if (
        site.to_time is not None
        and site.backup.started_at is not None
        and site.to_time < site.backup.started_at
    ):
        why = f"{site.to_time:%Y-%m-%d %H:%M:%S%z} is before this backup began: choose an older one"
        return [Check(area=Area.GROUND, name="time", outcome=Outcome.BROKEN, detail=why)]
    found = await postgres_tools.find(
        site.rule.binaries, site.backup.version, ("postgres", *needed), same=True
    )
    if found is None:
        return [postgres_tools.lacking(site, site.backup.version, ("postgres", *needed), same=True)]
    return [postgres_tools.there(site, found, needed)]


async def physical_programs(site: Site, needed: tuple[str, ...]) -> postgres_tools.Programs:
    found = await postgres_tools.find(
        site.rule.binaries, site.backup.version, ("postgres", *needed), same=True
    )
    if found is None:
        raise ActionFailed("the programs that were there before the restore are gone")
    return found


async def recovered(site: Site, enclosure: Enclosure, made: Cluster) -> Restored | None:
    """What lies in the data directory, cleaned and recovered from the source's archive."""
    first = await asyncio.to_thread(first_segment, made.data)
    if not await cleaned(site, enclosure, made):
        return None
    archive = await archive_in(site, enclosure, first)
    return await postgres_recovery.recover(Recovery(site, enclosure, made, archive, first))


async def cleaned(site: Site, enclosure: Enclosure, made: Cluster) -> bool:
    """False where a link leads out of the enclosure: then the copy must not be started."""
    try:
        said = await postgres_recovery.cleaned(enclosure, made.data)
    except ActionFailed as error:
        site.checks.append(Check(area=Area.FENCE, name="links", outcome=Outcome.BROKEN, detail=error.message))
        return False
    detail = "; ".join(said) or "nothing of another server's was in it"
    site.checks.append(Check(area=Area.FENCE, name="copy cleaned", outcome=Outcome.PASSED, detail=detail))
    return True


def first_segment(data: Path) -> str:
    try:
        return pg_basebackup.label_of((data / pg_basebackup.LABEL).read_text(errors="replace")).first_segment
    except OSError:
        return ""


def _described(site: Site) -> pg_basebackup.Described | None:
    try:
        return pg_basebackup.described(Path(site.backup.path))
    except (ActionFailed, OSError):
        return None


async def verified(site: Site, enclosure: Enclosure, path: Path) -> Check:
    """pg_verifybackup: each file's size and checksum, and the WAL that came with it."""
    name = "files as backup_manifest says"
    if not await asyncio.to_thread((path / pg_basebackup.MANIFEST).is_file):
        why = f"there is no {pg_basebackup.MANIFEST}: nothing is known of its files"
        return Check(area=Area.MEDIA, name=name, outcome=Outcome.SKIPPED, detail=why)
    programs = await physical_programs(site, NEEDED)
    wrong: list[str] = []

    def hear(line: str) -> None:
        found = _WRONG.search(line)
        if found and len(wrong) < _SAID:
            wrong.append(found[1])

    start = time.monotonic()
    argv = [str(enclosure.usable(programs.folder) / "pg_verifybackup"), "-i", manifest.INSIDE]
    own_wal = await asyncio.to_thread(_has_wal, path)
    words = [*argv, *([] if own_wal else ["--no-parse-wal"]), str(path)]
    ended = await site.unless_stopped(enclosure.run(Work(words, "verify its files", line=hear, reads=True)))
    return Check(
        area=Area.MEDIA,
        name=name,
        outcome=Outcome.PASSED if ended.code == 0 else Outcome.FAILED,
        detail="" if ended.code == 0 else (wrong[0] if wrong else ended.why),
        items=tuple(wrong),
        seconds=time.monotonic() - start,
    )


def _has_wal(path: Path) -> bool:
    folder = path / "pg_wal"
    return folder.is_dir() and any(len(one.name) == 24 for one in folder.iterdir())


# ---- copying ---------------------------------------------------------------------------------------


async def _copied(site: Site, enclosure: Enclosure, made: Cluster, path: Path) -> Check | None:
    """None where all of it is there; else what could not be copied."""
    described = await asyncio.to_thread(_described, site)
    total = described.bytes if described else site.backup.bytes
    spaces = enclosure.folder("spaces")
    work = _unpack(enclosure, made, path) if site.backup.format == "tar" else _copy(enclosure, made, path)
    try:
        await filling(site, (made.data, spaces), total, work)
    except ActionFailed as error:
        outcome = Outcome.BROKEN if "No space left" in error.message else Outcome.FAILED
        return Check(area=Area.MEDIA, name="copy of its files", outcome=outcome, detail=error.message)
    return None


_CP = ("cp", "-dR", "--preserve=mode,timestamps", "--reflink=auto", "--")


async def _copy(enclosure: Enclosure, made: Cluster, path: Path) -> None:
    """Links of tablespaces, and of pg_wal, lead to folders that may be a live server's: what is there is
    copied, and the links of the copy stay within the enclosure.
    """
    await _ran(enclosure, [*_CP, f"{path}/.", str(made.data)], "copy the backup")
    for link in await asyncio.to_thread(_links, made.data):
        place = enclosure.root / "spaces" / link.name
        source = await asyncio.to_thread(_leads_to, path / link.relative_to(made.data))
        await _ran(
            enclosure, [*_CP[:-1], "-T", "--", str(source), str(place)], f"copy what {link.name} leads to"
        )
        await _ran(
            enclosure, ["ln", "-sfn", "--", str(place), str(link)], f"lead {link.name} into the enclosure"
        )


def _links(data: Path) -> list[Path]:
    return [one for one in (*data.iterdir(), *(data / "pg_tblspc").glob("*")) if one.is_symlink()]


def _leads_to(link: Path) -> Path:
    try:
        return link.resolve(strict=True)
    except OSError:
        raise ActionFailed(f"{link.name} leads to {link.readlink()}, which is not there") from None


async def _unpack(enclosure: Enclosure, made: Cluster, path: Path) -> None:
    """base.tar is the data directory, pg_wal.tar its WAL, and OID.tar are tablespaces (tablespace_map)."""
    folders = {"base": made.data, "pg_wal": made.data / "pg_wal"}
    # base.tar makes the folder that pg_wal.tar is for.
    tars = sorted(await asyncio.to_thread(_tars, path), key=lambda one: not one.name.startswith("base."))
    for tar in tars:
        name = tar.name.split(".")[0]
        folder = folders.get(name)
        if folder is None:
            folder = enclosure.root / "spaces" / name
            await _ran(
                enclosure, ["mkdir", "-m", "0700", "--", str(folder)], f"a folder for tablespace {name}"
            )
        await _ran(enclosure, _tar_words(tar, folder), f"unpack {tar.name}")
    beside = path / pg_basebackup.MANIFEST
    if await asyncio.to_thread(beside.is_file):
        await _ran(enclosure, [*_CP, str(beside), str(made.data)], "copy its manifest")
    await _led(enclosure, made.data)


async def _led(enclosure: Enclosure, data: Path) -> None:
    """The links of the tablespaces, which the server would make later: the files are verified before."""
    for name in await asyncio.to_thread(_mapped, data):
        place = enclosure.root / "spaces" / name
        if not await asyncio.to_thread(place.is_dir):
            raise ActionFailed(f"the files of tablespace {name} are missing")
        link = str(data / "pg_tblspc" / name)
        await _ran(
            enclosure, ["ln", "-sfn", "--", str(place), link], f"lead tablespace {name} into the enclosure"
        )


def _mapped(data: Path) -> list[str]:
    path = data / "tablespace_map"
    if not path.exists():
        return []
    return [line.split(" ", 1)[0] for line in path.read_text().splitlines() if line.strip()]


def _tars(path: Path) -> list[Path]:
    return [
        one for one in path.iterdir() if re.fullmatch(r"(base|pg_wal|\d+)\.tar(\.gz|\.lz4|\.zst)?", one.name)
    ]


def _tar_words(tar: Path, folder: Path) -> list[str]:
    packed = _UNPACK.get(tar.suffix)
    how = [packed[0]] if packed else []
    return ["tar", "--extract", "--no-same-owner", *how, "-f", str(tar), "-C", str(folder)]


def _map(enclosure: Enclosure, data: Path) -> None:
    """The server makes its links anew by this file, whose paths are those of the server it is of."""
    names = _mapped(data)
    if names:
        (data / "tablespace_map").unlink()
        text = "".join(f"{one} {enclosure.root}/spaces/{one}\n" for one in names)
        enclosure.write(data / "tablespace_map", text)


async def _ran(enclosure: Enclosure, argv: list[str], what: str) -> None:
    """As the server's user, who owns what it writes. Raises ActionFailed where it failed."""
    ended = await enclosure.run(Work(argv, what, reads=True))
    if ended.code != 0:
        raise ActionFailed(f"{argv[0]} {ended.why}")
