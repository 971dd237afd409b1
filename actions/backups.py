"""backup.take: a backup with a manifest of what it should hold, complete under its name or not there."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shlex
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from actions.taking import Draft, Order, Taken, Taker
from actions.words import counted
from console import __version__
from console.backups import manifest
from console.backups.tools import size_of
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import ActionFailed, DbdeckError, Refused, UsageError
from console.model.backups import Name, Source
from console.model.inventory import FileSum, Manifest
from console.model.target import ServerIdentity, Target
from console.present.units import size

_MARGIN = 1.1  # what is free must be more than the last one took


class TakeArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`source` is one of the target's in the config. `database` (logical backups of PostgreSQL, and of
    MySQL and MariaDB) is the target's own unless given. `name` is the backup's, made of target and time
    unless given.
    """

    source: Name
    database: str = ""
    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = ""


class TakeBackup:
    """Written under a name of its own, put on the disk, and renamed when it is complete."""

    name = "backup.take"
    summary = "take a backup, with a manifest of what it must hold when it is restored"
    risk = Risk.LOW
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    lasting: Literal[True] = True
    facts = Facts(
        on={
            "postgresql": On(
                locks="pg_dump: AccessShareLock on every table until it ends, for which DDL waits, and one "
                "snapshot, which keeps vacuum from what is deleted since; pg_basebackup: none, a "
                "replication connection",
                rights="of the source's `login`, or the operator: `SELECT` on what is dumped "
                "(`pg_read_all_data`, 14+), a superuser for the passwords of roles; pg_basebackup: "
                "`REPLICATION`",
            ),
            "mysql": On(
                locks="mysqldump in one transaction: metadata lock SHARED_READ on the tables it has read, "
                "for which DDL waits; a global read lock for a moment where there is a binary log",
                rights="of the source's `login`, or the operator: what shows it every table, view, "
                "trigger, event and routine; it refuses where something is hidden",
            ),
            "mariadb": On(
                locks="mariadb-dump as MySQL; mariadb-backup keeps commits waiting for a moment at its end",
                rights="as MySQL; mariadb-backup also has to read the server's files on this machine",
            ),
        },
        undo="remove the backup: nothing else refers to it",
    )
    Args = TakeArgs

    async def plan(self, engine: Engine, args: TakeArgs) -> Plan:
        order = _order(engine.target, args, await engine.identity())
        how = await _taker(order.source).draft(order, engine)
        place = how.place(order)
        await asyncio.to_thread(_refuse_occupied, order, place)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args={"source": args.source, "database": order.database, "name": order.name},
            subject={"title": f"backup {order.name} into {order.folder}", "place": str(place)},
            statements=(
                *(f"run {shlex.join(command)}" for command in how.commands),
                f"write {manifest.place_of(place, single=bool(how.ending))}",
                f"rename what is in {order.partial} to {place}",
            ),
            forecast=(*how.forecast, *await _room(args.source, order)),
            warnings=how.warnings,
            observed={"tool": how.tool},
            evidence={"tool": how.tool},
            server=order.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        args = msgspec.convert(plan.args, TakeArgs)
        order = _order(operator.engine.target, args, plan.server)
        taker = _taker(order.source)
        how = await taker.draft(order, operator.engine)
        start = time.monotonic()
        await operator.on_disk(f"make {order.partial}", lambda: _make(order.partial))
        try:
            taken = await taker.take(order, how, operator)
            operator.watch.tell("sums of its files …")
            files = await asyncio.to_thread(_sums, order.partial)
            described = _manifest(order, how, taken, files)
            await operator.on_disk(
                f"write the manifest, and rename what is in {order.partial} to {how.place(order)}",
                lambda: _publish(order, how, described),
            )
        except BaseException:
            await asyncio.shield(
                operator.on_disk(f"remove {order.partial}", lambda: shutil.rmtree(order.partial))
            )
            raise
        evidence: dict[str, Any] = {
            "place": str(how.place(order)),
            "bytes": sum(one.bytes for one in files.values()),
            "files": len(files),
            "seconds": round(time.monotonic() - start, 1),
        }
        if taken.position:
            evidence["position"] = taken.position
        if taken.baseline.notes:  # such as accounts that are not in it: a restore would tell it too late
            evidence["notes"] = list(taken.baseline.notes)
        operator.evidence |= evidence
        return Result(matched=True, evidence=evidence)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:  # noqa: ARG002 - the port
        """By the disk alone: the sums of its files are those of its manifest."""
        return await asyncio.to_thread(_proved, Path(str(plan.subject["place"])))

    def lock(self, plan: Plan) -> str:
        return f"backup {plan.args['source']}"


# ---- the order ---------------------------------------------------------------------------------


def _order(target: Target, args: TakeArgs, server: ServerIdentity) -> Order:
    source = target.drills.sources.get(args.source)
    if source is None:
        known = ", ".join(target.drills.sources) or "none"
        raise UsageError(
            f"{target.name} has no source {args.source!r} (it has: {known}); nothing was executed",
            "add it to drills.targets in the config",
        )
    if args.name.startswith("."):
        raise UsageError("the name of a backup does not begin with a dot; nothing was executed")
    name = args.name or f"{target.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return Order(target, source, server, args.database, name)


def _taker(source: Source) -> Taker:
    from actions.takers import TAKERS

    taker = TAKERS.get(source.method)
    if taker is None:
        able = ", ".join(sorted(TAKERS))
        raise UsageError(
            f"backups of {source.method} are taken by its own tools; nothing was executed",
            f"backup.take is for sources of: {able}",
        )
    return taker


def _refuse_occupied(order: Order, place: Path) -> None:
    if not os.access(order.folder, os.W_OK | os.X_OK):
        raise Refused(
            f"{order.folder} is no folder that may be written in; nothing was executed",
            "make it, or run dbdeck as its owner",
        )
    if os.path.lexists(place):
        raise UsageError(f"{place} is there already; nothing was executed", "choose another name")
    if os.path.lexists(order.partial):
        raise UsageError(
            f"{order.partial} is there already; nothing was executed",
            "a run that is at work or has died made it: choose another name, or remove it where nobody "
            "writes there",
        )


async def _room(source: str, order: Order) -> tuple[str, ...]:
    """Raises Refused where less is free than the last one took."""
    from console.backups.catalogue import FINDERS

    free = (await asyncio.to_thread(shutil.disk_usage, order.folder)).free
    try:
        earlier = await FINDERS[order.source.method](source, order.source, order.target.drills)
    except (DbdeckError, OSError, KeyError):
        earlier = ()
    sizes = [one.bytes for one in earlier if one.bytes and not one.faults]
    if not sizes:
        return (f"its size is unknown: it is the first of this source; free: {size(free)}",)
    wanted = int(max(sizes) * _MARGIN)
    if wanted > free:
        raise Refused(
            f"{order.folder} has {size(free)} free, and the largest backup of {source} took "
            f"{size(max(sizes))}; nothing was executed",
            "free some space first",
        )
    return (f"about {size(max(sizes))}, as the largest of this source; free: {size(free)}",)


# ---- on the disk -------------------------------------------------------------------------------


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ActionFailed(f"{folder} was not made: {error.strerror}; nothing was backed up") from None


def _sums(folder: Path) -> dict[str, FileSum]:
    """Of each file below, once it is on the disk."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.name != manifest.INSIDE:
            with path.open("rb") as file:
                os.fsync(file.fileno())
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(folder))] = FileSum(bytes=path.stat().st_size, sha256=digest)
    return found


def _manifest(order: Order, how: Draft, taken: Taken, files: dict[str, FileSum]) -> Manifest:
    return Manifest(
        target=order.target.name,
        method=str(order.source.method),
        started_at=taken.started_at,
        ended_at=datetime.now(UTC),
        server=order.server.label,
        version_num=order.server.version_num,
        command=how.commands[0],
        tool=how.tool,
        position=taken.position,
        files=files,
        baseline=taken.baseline,
    )


def _publish(order: Order, how: Draft, described: Manifest) -> None:
    """The backup itself comes last: where it is, all of it is."""
    place, partial = how.place(order), order.partial
    if os.path.lexists(place):
        raise ActionFailed(f"{place} came into being meanwhile; the backup was thrown away")
    text = msgspec.json.format(msgspec.json.encode(described), indent=1)
    if not how.ending:
        _write(partial / manifest.INSIDE, text)
        _sync_folders(partial)
        partial.rename(place)
    else:
        _write(manifest.place_of(partial / place.name, single=True), text)
        beside = sorted(one for one in partial.iterdir() if one.name != place.name)
        for one in (*beside, partial / place.name):
            one.rename(order.folder / one.name)
        partial.rmdir()
    _sync(order.folder)


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _sync(Path(folder))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _proved(place: Path) -> Verdict:
    if not place.exists():
        return Verdict(state="not_applied", summary=f"{place} is not there")
    described = manifest.read(place)
    if described is None:
        return Verdict(state="not_applied", summary=f"{place} has no manifest")
    wrong = manifest.wrong_files(place, described)
    if wrong:
        told = ", ".join(wrong[:5])
        return Verdict(state="not_applied", summary=f"{place}: not as its manifest says: {told}")
    total, _ = size_of(place)
    return Verdict(
        state="applied",
        summary=f"{place} is complete: {counted(len(described.files), 'file')}, {size(total)}, sums right",
        certain=True,
    )
