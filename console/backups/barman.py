"""Backups of Barman, by its own word (`-f json`, versions 2.18 and 3)."""

from __future__ import annotations

import asyncio
import configparser
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from console import programs
from console.backups import tools
from console.backups.wal import Segment, segment
from console.errors import ActionFailed
from console.model.backups import Backup, DrillRule, Method, Source

SECONDS = 120.0
_SIDE_BY_SIDE = 4
_WELL = ("DONE", "WAITING_FOR_WALS")
T = TypeVar("T")


class _Failed(msgspec.Struct):
    errors: list[str] = msgspec.field(name="_ERROR")


class Space(msgspec.Struct):
    name: str
    location: str


class _Base(msgspec.Struct):
    begin_time: str | None = None
    begin_time_timestamp: str | None = None
    end_time_timestamp: str | None = None
    begin_wal: str | None = None
    disk_usage_bytes: int | None = None


class Shown(msgspec.Struct):
    """`barman show-backup`, as far as it is needed."""

    backup_id: str
    status: str
    base_backup_information: _Base = msgspec.field(default_factory=_Base)
    postgresql_version: int | None = None
    tablespaces: list[Space] = []
    error: str | None = None


class _Listed(msgspec.Struct):
    backup_id: str
    status: str
    size_bytes: int | None = None


async def find(name: str, source: Source, rule: DrillRule) -> tuple[Backup, ...]:  # noqa: ARG001 - the port
    """Raises ActionFailed where Barman does not answer."""
    listed = await _answer(source, ["list-backups", str(source.server)], list[_Listed])
    room = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(each: _Listed) -> Backup:
        async with room:
            return await _described(name, source, each)

    return tuple(await asyncio.gather(*map(one, listed)))


async def _described(name: str, source: Source, listed: _Listed) -> Backup:
    plain = Backup(
        source=name,
        id=listed.backup_id,
        method=Method.BARMAN,
        path=os.path.expanduser(source.path),  # noqa: ASYNC240, PTH111 - it does not block
        bytes=listed.size_bytes,
        format="barman",
        label=listed.backup_id,
        faults=()
        if listed.status in ("DONE", "WAITING_FOR_WALS")
        else (f"Barman says it is {listed.status}",),
        notes=("Barman still waits for WAL that it needs",) if listed.status == "WAITING_FOR_WALS" else (),
    )
    try:
        shown = await show(source, listed.backup_id)
    except ActionFailed as error:
        return msgspec.structs.replace(plain, faults=(*plain.faults, error.message))
    base = shown.base_backup_information
    version = (shown.postgresql_version or 0) // 10000 or None
    return msgspec.structs.replace(
        plain,
        started_at=_moment(base.begin_time_timestamp),
        ended_at=_moment(base.end_time_timestamp),
        bytes=base.disk_usage_bytes or plain.bytes,
        version=version,
        server=f"PostgreSQL {version}" if version else "",
    )


def _moment(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds and seconds.isdigit() else None


async def show(source: Source, name: str) -> Shown:
    return await _answer(source, ["show-backup", str(source.server), name], Shown)


async def segments(source: Source, name: str) -> tuple[Segment, ...]:
    """The WAL that Barman has from this backup on."""
    heard = await ask(source, ["list-files", "--target", "wal", str(source.server), name])
    names = (line.rsplit("/", 1)[-1] for line in heard.decode("utf-8", "replace").splitlines())
    return tuple(one for one in map(segment, names) if one is not None)


async def _answer(source: Source, more: Sequence[str], kind: type[T]) -> T:
    said = await ask(source, ["-f", "json", *more])
    try:
        found = msgspec.json.decode(said, type=dict[str, msgspec.Raw])
        if source.server in found:
            return msgspec.json.decode(found[source.server], type=kind)
    except msgspec.DecodeError as error:
        raise ActionFailed(f"Barman's answer is not understood: {error}") from None
    raise ActionFailed(f"Barman knows no server {source.server}")


def words(source: Source, more: Sequence[str]) -> list[str]:
    """Raises ActionFailed where it is not installed."""
    found = tools.program("barman")
    if found is None:
        raise ActionFailed("barman is not installed on this machine")
    return [str(found), "-c", str(Path(source.path).expanduser()), *more]


async def ask(source: Source, more: Sequence[str]) -> bytes:
    """As root, Barman becomes its own user by itself; anybody else must be that one."""
    argv = await asyncio.to_thread(words, source, more)
    heard = await programs.hear(programs.Call(argv, seconds=SECONDS))
    if heard.code != 0:
        said = "" if heard.complaint else complaint(heard.answer)
        raise ActionFailed(f"barman {heard.why}{f': {said}' if said else ''}")
    return heard.answer


def complaint(answer: bytes) -> str:
    """What it says of an error on stdout: in its document where one was asked for."""
    try:
        said = msgspec.json.decode(answer, type=_Failed).errors
    except ValueError:  # msgspec's own, and bytes that are no text
        said = [answer.decode("utf-8", "replace").strip()]
    return "; ".join(said)[:300]


def user(source: Source) -> str:
    """Whom Barman runs as. Raises ActionFailed where its configuration cannot be read."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    path = os.path.expanduser(source.path)  # noqa: PTH111 - a text
    try:
        if not parser.read(path, encoding="utf-8"):
            raise ActionFailed(f"{path} cannot be read")
    except configparser.Error as error:
        raise ActionFailed(f"{path} is no configuration of Barman: {error}") from None
    return parser.get("barman", "barman_user", fallback="barman")
