"""Base backups of pg_basebackup in a folder: plain ones and tar files."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

import msgspec

from console.backups import manifest
from console.backups.tools import size_of
from console.errors import ActionFailed
from console.model.backups import Backup, DrillRule, Method, Source

PARTIAL = ".partial"
MANIFEST = "backup_manifest"
LABEL = "backup_label"
_TARS = ("base.tar", "base.tar.gz", "base.tar.lz4", "base.tar.zst")
_UNPACKERS = {".lz4": "lz4", ".zst": "zstd"}
_FAR = 256 << 20  # bytes of a tar that are looked through for its version
_BEGAN = re.compile(r"^START TIME: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ?(\S*)", re.MULTILINE)
_NAMED = re.compile(r"^LABEL: (.*)$", re.MULTILINE)
_FIRST = re.compile(r"^START WAL LOCATION: (\S+) \(file ([0-9A-F]{24})\)", re.MULTILINE)
_INCREMENTAL = re.compile(r"^INCREMENTAL FROM LSN: ", re.MULTILINE)
INCREMENTAL = "incremental"


class _File(msgspec.Struct, rename="pascal"):
    size: int = msgspec.field(name="Size", default=0)


class Described(msgspec.Struct):
    """backup_manifest, as far as it is needed (manual, chapter "Backup Manifest Format")."""

    version: int = msgspec.field(name="PostgreSQL-Backup-Manifest-Version", default=1)
    system: int | None = msgspec.field(name="System-Identifier", default=None)
    files: list[_File] = msgspec.field(name="Files", default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(one.size for one in self.files)


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """`first_segment` is the WAL that recovery begins with."""

    began: datetime | None
    name: str
    first_segment: str
    incremental: bool


def label_of(text: str) -> Label:
    """Its time has the zone of log_timezone; an abbreviation but UTC is taken for this machine's."""
    began, named, first = _BEGAN.search(text), _NAMED.search(text), _FIRST.search(text)
    return Label(
        began=_time(began[1], began[2]) if began else None,
        name=named[1] if named else "",
        first_segment=first[2] if first else "",
        incremental=_INCREMENTAL.search(text) is not None,
    )


def _time(text: str, zone: str) -> datetime:
    if re.fullmatch(r"[+-]\d\d(:?\d\d)?", zone):
        digits = zone.replace(":", "").ljust(5, "0")
        return datetime.strptime(f"{text} {digits}", "%Y-%m-%d %H:%M:%S %z")
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if zone in ("UTC", "GMT", "") else at.astimezone()


async def find(name: str, source: Source, rule: DrillRule) -> tuple[Backup, ...]:  # noqa: ARG001 - the port
    """Raises OSError where the folder cannot be read."""
    return await asyncio.to_thread(_found, name, source.path)


def _found(name: str, given: str) -> tuple[Backup, ...]:
    root = Path(given).expanduser()
    return tuple(_described(name, path) for path in sorted(root.iterdir()) if _may_be(path))


def _may_be(path: Path) -> bool:
    return path.name.endswith(PARTIAL) or not (path.name.startswith(".") or path.suffix == ".json")


def tar_of(path: Path) -> Path | None:
    return next((path / one for one in _TARS if (path / one).is_file()), None)


def _described(source: str, path: Path) -> Backup:
    plain = Backup(source=source, id=path.name, method=Method.PG_BASEBACKUP, path=str(path), format="unknown")
    try:
        if not path.is_dir():
            return msgspec.structs.replace(plain, faults=("it is no base backup: no folder",))
        size, files = size_of(path)
        plain = msgspec.structs.replace(plain, bytes=size, files=files)
        if path.name.endswith(PARTIAL):
            return msgspec.structs.replace(
                plain, faults=("it was not finished: its name is that of a backup being taken",)
            )
        tar = tar_of(path)
        found = _of_tar(plain, tar) if tar else _of_files(plain, path)
        return _with_manifests(found, path)
    except ActionFailed as error:
        return msgspec.structs.replace(plain, faults=(error.message,))
    except OSError as error:
        return msgspec.structs.replace(plain, faults=(f"it cannot be read: {error.strerror or error}",))


def _of_files(plain: Backup, path: Path) -> Backup:
    version = _number(path / "PG_VERSION")
    if version is None:
        return msgspec.structs.replace(plain, faults=("it is no base backup: it has no PG_VERSION",))
    try:
        label = label_of((path / LABEL).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        fault = f"it has no {LABEL}: its recovery would begin at the wrong place"
        return msgspec.structs.replace(plain, format="plain", version=version, faults=(fault,))
    return _labelled(msgspec.structs.replace(plain, format="plain", version=version), label)


def read_label(folder: Path) -> Label | None:
    """Of a plain or a tar backup; None where it cannot be read."""
    tar = tar_of(folder)
    try:
        text = _texts(tar).get(LABEL) if tar else (folder / LABEL).read_text(errors="replace")
    except OSError:
        return None
    return label_of(text) if text else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def _of_tar(plain: Backup, tar: Path) -> Backup:
    plain = msgspec.structs.replace(plain, format="tar")
    texts = _texts(tar)
    if LABEL not in texts:
        return msgspec.structs.replace(plain, faults=(f"{tar.name} is damaged, or has no {LABEL}",))
    version = texts.get("PG_VERSION", "").strip()
    found = msgspec.structs.replace(plain, version=int(version) if version.isdigit() else None)
    return _labelled(found, label_of(texts[LABEL]))


def _texts(tar: Path) -> dict[str, str]:
    """The label, which comes first, and the version, which any database has. What can be read counts."""
    found: dict[str, str] = {}
    damaged = (tarfile.TarError, EOFError, OSError, zlib.error)
    with (
        contextlib.suppress(*damaged),
        _unpacked(tar) as file,
        tarfile.open(fileobj=file, mode="r|") as members,
    ):
        for member in members:
            name = member.name.removeprefix("./")
            wanted = LABEL if name == LABEL else "PG_VERSION" if name.endswith("PG_VERSION") else ""
            content = members.extractfile(member) if wanted else None
            if content is not None:
                found.setdefault(wanted, content.read(1 << 16).decode("utf-8", "replace"))
            if len(found) == 2 or member.offset > _FAR:
                break
    return found


@contextmanager
def _unpacked(tar: Path) -> Iterator[IO[bytes]]:
    """Raises OSError where there is no program for it."""
    program = _UNPACKERS.get(tar.suffix)
    if program is None:
        with cast(IO[bytes], gzip.open(tar, "rb")) if tar.suffix == ".gz" else tar.open("rb") as file:
            yield file
        return
    argv = [program, "-dcq", str(tar)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield cast(IO[bytes], process.stdout)
        finally:
            process.kill()


def _labelled(found: Backup, label: Label) -> Backup:
    notes = () if not label.incremental else (f"{INCREMENTAL}: only together with the backups it builds on",)
    return msgspec.structs.replace(
        found, started_at=label.began, label=label.name, notes=(*found.notes, *notes)
    )


def described(path: Path) -> Described | None:
    """backup_manifest; None where there is none. Raises ActionFailed for one that is damaged."""
    try:
        return msgspec.json.decode((path / MANIFEST).read_bytes(), type=Described)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ActionFailed(f"{MANIFEST} is damaged: {error}") from None


def _with_manifests(found: Backup, path: Path) -> Backup:
    own = described(path)
    if own is None:
        return msgspec.structs.replace(found, notes=(*found.notes, f"it has no {MANIFEST}, so no checksums"))
    at = datetime.fromtimestamp((path / MANIFEST).stat().st_mtime, UTC)
    system = f", system {own.system}" if own.system is not None else ""
    server = f"PostgreSQL {found.version}{system}" if found.version else ""
    found = msgspec.structs.replace(found, ended_at=at, server=server)
    taken = manifest.read(path)
    if taken is None:
        return found
    return msgspec.structs.replace(found, manifest=str(manifest.place(path)), started_at=taken.started_at)
