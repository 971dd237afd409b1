"""Backups of PostgreSQL taken: pg_dump in the snapshot that its manifest is read in, and pg_basebackup."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from actions import postgres_tools
from actions.restore_progress import bytes_in, looking
from actions.taking import Draft, Order, Taken
from console import programs
from console.backups import pg_basebackup, wal
from console.dispatch.action import Advance
from console.dispatch.operator import Operator
from console.dispatch.tool_login import Way, libpq_login
from console.engine.port import Engine
from console.errors import ActionFailed, Cancelled, Refused, UsageError
from console.model.backups import seconds_of
from console.model.inventory import Baseline, Wanted
from console.present.names import shown

T = TypeVar("T")
_SNAPSHOT = "--snapshot=THE-EXPORTED-ONE"
_ENDINGS = {"directory": "", "custom": ".dump", "tar": ".tar", "plain": ".sql"}
_ASK_SECONDS = 10.0
_READ_ALL_SINCE = 140000  # pg_read_all_data; PostgreSQL 14 release notes


class PgDumpTaker:
    """The dump, what is in the database, and its rows are of one moment."""

    async def draft(self, order: Order, engine: Engine) -> Draft:
        form = order.source.format or "directory"
        found = await _programs(order, ("pg_dump", "pg_dumpall"))
        database = _database(order)
        powerful = await _superuser(engine, database, order.login.user)
        ending = _ENDINGS[form]
        main = order.partial / f"{order.name}{ending}" if ending else order.partial
        beside = order.partial / (f"{order.name}.globals.sql" if ending else "globals.sql")
        dump = [found.program("pg_dump"), *_connection(order), "-d", database, f"--format={form}"]
        dump += ["-j", str(order.source.jobs)] if form == "directory" else []
        dump += [_SNAPSHOT, "-f", str(main)]
        roles = [found.program("pg_dumpall"), *_connection(order), "-l", database, "--globals-only"]
        roles += [*([] if powerful else ["--no-role-passwords"]), "-f", str(beside)]
        weak = f"{order.login.user} is no superuser: the globals have roles without their passwords"
        return Draft(
            commands=(tuple(dump), tuple(roles)),
            tool=f"pg_dump {found.major}.{found.minor}",
            ending=ending,
            warnings=() if powerful else (weak,),
            forecast=(
                "a snapshot is held as long as it takes, which keeps vacuum from what is deleted since",
            ),
        )

    async def take(self, order: Order, how: Draft, operator: Operator) -> Taken:
        dump, roles = how.commands
        login, database = order.login, _database(order)
        async with (
            libpq_login(order.target, login) as way,
            operator.reading_as(login) as engine,
            engine.snapshot(database) as snapshot,
        ):
            server = await engine.inventory("")
            inventory = await snapshot.inventory()
            words = [one.replace(_SNAPSHOT, f"--snapshot={snapshot.id}") for one in dump]
            wanted = Wanted(seconds=seconds_of(order.target.drills.budget))
            # The rows are counted while pg_dump reads them, too: the snapshot is held no longer than it must.
            contents, _ = await _both(
                snapshot.contents(wanted), _run(order, operator, way, words, f"dump of {database}")
            )
            # pg_dump wants its folder empty. Roles belong to no snapshot, so the order does not matter.
            await _run(order, operator, way, list(roles), "roles and tablespaces")
            baseline = Baseline(
                exact=True,
                taken_at=snapshot.taken_at,
                origin=f"snapshot of {order.name}",
                inventories=(server, inventory),
                contents=(contents,),
            )
            return Taken(started_at=snapshot.taken_at, baseline=baseline, position=snapshot.position)


class PgBasebackupTaker:
    """What is in it is read while it is taken: a copy of files has no snapshot that others could read in."""

    async def draft(self, order: Order, engine: Engine) -> Draft:
        if order.database:
            raise UsageError(
                "a base backup is of all databases: it takes no `database`; nothing was executed"
            )
        found = await _programs(order, ("pg_basebackup",))
        await _refuse_without_replication(order, engine)
        spaces = await engine.ask(_database(order), _SPACES, seconds=_ASK_SECONDS)
        form = order.source.format or ("tar" if spaces != "0" else "plain")
        if form not in ("plain", "tar"):
            raise UsageError(f"pg_basebackup writes plain or tar, not {form}; nothing was executed")
        if form == "plain" and spaces != "0":
            raise UsageError(
                f"{order.target.name} has {spaces} tablespaces, whose files plain would put into their own "
                "places; nothing was executed",
                "write `format: tar` for this source",
            )
        words = [found.program("pg_basebackup"), *_connection(order), "-D", str(order.partial)]
        words += [f"--format={form}", "-X", "stream", "--checkpoint=fast", "--manifest-checksums=SHA256"]
        return Draft(
            commands=((*words, f"--label=dbdeck {order.name}"),),
            tool=f"pg_basebackup {found.major}.{found.minor}",
            forecast=("a checkpoint at once, and two connections of walsenders for as long as it takes",),
        )

    async def take(self, order: Order, how: Draft, operator: Operator) -> Taken:
        login, place = order.login, _database(order)
        async with libpq_login(order.target, login) as way, operator.reading_as(login) as engine:
            told = await engine.ask(place, "select pg_catalog.clock_timestamp()", seconds=_ASK_SECONDS)
            started = datetime.fromisoformat(told) if told else datetime.now(UTC)
            baseline, _ = await _both(
                _live(order, engine), _run(order, operator, way, list(how.commands[0]), "base backup")
            )
        label = await asyncio.to_thread(_first_position, order.partial)
        return Taken(started_at=started, baseline=baseline, position=label)


async def _refuse_without_replication(order: Order, engine: Engine) -> None:
    user = order.login.user
    sql = "select rolsuper or rolreplication from pg_catalog.pg_roles where rolname = " + _literal(user)  # noqa: S608
    if await engine.ask(_database(order), sql, seconds=_ASK_SECONDS) in ("false", "f"):
        raise Refused(
            f"{user} may not take a base backup; nothing was executed",
            f"ALTER ROLE {shown('', user)} REPLICATION; or another login: `login` of the source",
        )


_SPACES = "select count(*) from pg_catalog.pg_tablespace where spcname not in ('pg_default', 'pg_global')"


async def _live(order: Order, engine: Engine) -> Baseline:
    names = await engine.databases()
    wanted = Wanted(seconds=seconds_of(order.target.drills.budget) / max(1, len(names)))
    inventories = [await engine.inventory(name) for name in ("", *names)]
    contents = [await engine.contents(name, wanted) for name in names]
    return Baseline(
        exact=False,
        taken_at=datetime.now(UTC),
        origin=f"the live server while {order.name} was taken",
        inventories=tuple(inventories),
        contents=tuple(contents),
    )


def _first_position(folder: Path) -> str:
    """Where its recovery begins."""
    label = pg_basebackup.read_label(folder)
    first = wal.segment(label.first_segment) if label else None
    return f"from WAL segment {first.name()}" if first else ""


# ---- in common -----------------------------------------------------------------------------------


async def _programs(order: Order, needed: tuple[str, ...]) -> postgres_tools.Programs:
    """pg_dump reads older servers than itself, never newer ones. Raises UsageError where there is none."""
    major = order.server.version_num // 10000
    given = order.target.drills.binaries
    found = await postgres_tools.find(given, major, needed, same=False)
    if found is None:
        raise UsageError(
            f"no {needed[0]} of PostgreSQL {major} or newer is on this machine; nothing was executed",
            f"install it, or name its folder as `binaries` of {order.target.name} in drills.targets",
        )
    return found


def _database(order: Order) -> str:
    return order.database or order.target.database or "postgres"


def _connection(order: Order) -> list[str]:
    target, login = order.target, order.login
    return ["-h", target.host, "-p", str(login.port or target.port or 5432), "-U", login.user, "-w"]


async def _superuser(engine: Engine, database: str, user: str) -> bool:
    sql = "select rolsuper from pg_catalog.pg_roles where rolname = " + _literal(user)  # noqa: S608
    return await engine.ask(database, sql, seconds=_ASK_SECONDS) in ("true", "t")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _run(order: Order, operator: Operator, way: Way, words: list[str], what: str) -> None:
    """Raises ActionFailed with the last it said, Cancelled where a stop was asked for."""
    call = programs.Call(words, env=way.env, options={**way.options, "umask": 0o077})

    def look() -> None:
        operator.watch.advance(Advance(phase=what, done=bytes_in(order.partial), unit="B"))

    async with looking(look):
        ended = await _unless_stopped(operator, operator.run_tool(call, what))
    if ended.code != 0:
        raise ActionFailed(
            f"{Path(words[0]).name} {_why(ended)}; the backup was thrown away",
            _mending(order, ended.complaint),
        )


def _mending(order: Order, complaint: str) -> str:
    """The right that is missing, as far as its words tell."""
    user = shown("", order.login.user)
    if "row-level security" in complaint:
        return f"ALTER ROLE {user} BYPASSRLS; else rows are hidden from it"
    if "permission denied" not in complaint:
        return ""
    if order.server.version_num < _READ_ALL_SINCE:
        return f"GRANT SELECT ON ALL TABLES IN SCHEMA … TO {user};"
    return f"GRANT pg_read_all_data TO {user}; or another login: `login` of the source"


def _why(ended: programs.Heard) -> str:
    """Its first error rather than the details and the death of a worker that follow it."""
    errors = [line for line in ended.complaint.splitlines() if ": error: " in line]
    return f"{ended.how}: {errors[0]}" if errors else ended.why


async def _both(one: Awaitable[T], other: Awaitable[None]) -> tuple[T, None]:
    """Both results; where one fails, the other has ended before that is told."""
    tasks = (asyncio.ensure_future(one), asyncio.ensure_future(other))
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _unless_stopped(operator: Operator, work: Awaitable[programs.Heard]) -> programs.Heard:
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(operator.watch.stop.wait())
    try:
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled(f"stopped by {operator.watch.stop.by or 'its caller'}; the backup was thrown away")
    finally:
        stop.cancel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
