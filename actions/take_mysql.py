"""Backups of MySQL and MariaDB taken: mysqldump with all it leaves out unless told, and mariadb-backup."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import msgspec

from actions.restore_progress import bytes_in, looking
from actions.taking import Draft, Order, Taken
from console import programs
from console.backups import mysqldump
from console.backups.mysql_programs import Program, find, label, names_of
from console.dispatch.action import Advance
from console.dispatch.operator import Operator
from console.dispatch.tool_login import Entrance, mysql_login, mysql_tls
from console.engine.port import Engine
from console.engine.queries import quote_literal
from console.errors import ActionFailed, Cancelled, UsageError
from console.model.backups import seconds_of
from console.model.inventory import Baseline, Contents, Inventory, Known, Objects, TableContent, Wanted

T = TypeVar("T")
_DUMP = f"{mysqldump.INSIDE}.gz"
_ASK_SECONDS = 10.0
_CHANGED = "it changed while the backup was taken"
_ELSEWHERE = "{count} grants on tables and routines that are not in it were left out"
_ACCOUNTS = "accounts and grants are not in it: {hint}"
# Whatever the person's own files say: what a dump leaves out unless it is told, and what makes it of one
# moment. Binary columns as hexadecimal survive any editor and character set.
_ALWAYS = ("--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob",
           "--default-character-set=utf8mb4")  # fmt: skip


class MysqldumpTaker:
    """The dump is of one moment that nothing else can read in: rows are counted before it and after it, and
    what is the same then was the same in it.
    """

    async def draft(self, order: Order, engine: Engine) -> Draft:
        if order.source.format not in (None, "plain"):
            raise UsageError(
                f"mysqldump writes plain or (without `format`) packed dumps, not {order.source.format}; "
                "nothing was executed"
            )
        found = await _program(order, "dump")
        databases = await _databases(order, engine)
        logged = await engine.ask("", "SELECT @@log_bin", seconds=_ASK_SECONDS) == "1"
        words = [str(found.path), *_connection(order), *_ALWAYS, *_of_flavor(order, logged=logged)]
        words += ["--databases", *databases]
        commands = [tuple(words)]
        if order.source.format is None:
            commands.append(("gzip", "-c"))
        if order.server.flavor == "mysql":
            client = await _program(order, "client")
            commands.append((str(client.path), *_connection(order), *_PLAIN))
        else:
            commands.append((str(found.path), *_connection(order), "--system=users", "--insert-ignore"))
        return Draft(
            commands=tuple(commands),
            tool=f"{found.path.name} {found.words}",
            warnings=() if logged else ("there is no binary log: nothing can be replayed after it",),
            forecast=_forecast(logged=logged),
        )

    async def take(self, order: Order, how: Draft, operator: Operator) -> Taken:
        place = order.partial / (_DUMP if order.source.format is None else mysqldump.INSIDE)
        login = order.login
        async with mysql_login(login) as way, operator.reading_as(login) as engine:
            server = await engine.inventory("")
            words, databases = await _all_of(order, engine, how.commands[0])
            before = await _looks(order, engine, databases)
            _refuse_blind(order, before)
            await _dump(order, _call(words, way), operator, place)
            after = await _looks(order, engine, databases)
            known = Known.of((*before.inventories, *after.inventories))
            notes = await _accounts(order, _call(how.commands[-1], way), operator, (server, known))
        head = await asyncio.to_thread(mysqldump.head_of, place)
        return Taken(
            started_at=before.last,
            baseline=_baseline(order, known.within(server), (before, after), notes),
            position=mysqldump.position_words(head) if head else "",
        )


class MariabackupTaker:
    """A copy of files is of the moment at its end."""

    async def draft(self, order: Order, engine: Engine) -> Draft:
        if order.database:
            raise UsageError(
                "mariadb-backup copies all databases: it takes no `database`; nothing was executed"
            )
        if order.server.flavor != "mariadb":
            raise UsageError(f"{order.target.name} is no MariaDB; nothing was executed")
        found = await _program(order, "backup")
        data = await engine.ask("", "SELECT @@datadir", seconds=_ASK_SECONDS)
        if not data or not await asyncio.to_thread(os.access, data, os.R_OK | os.X_OK):
            raise UsageError(
                f"the files of {order.target.name} at {data} cannot be read here; nothing was executed",
                "run dbdeck on the server's own machine, as a user that may read them",
            )
        words = (str(found.path), "--backup", *_connection(order), f"--datadir={data}")
        return Draft(
            commands=((*words, f"--target-dir={order.partial}"),),
            tool=f"{found.path.name} {found.words}",
            forecast=("at its end it keeps commits waiting for a moment",),
        )

    async def take(self, order: Order, how: Draft, operator: Operator) -> Taken:
        login = order.login
        async with mysql_login(login) as way, operator.reading_as(login) as engine:
            databases = await engine.databases()
            server = await engine.inventory("")
            before = await _looks(order, engine, databases)
            ended = await _run(order, operator, _call(how.commands[0], way), "copy of files")
            if ended.code != 0 or "completed OK!" not in ended.complaint:
                raise ActionFailed(*_copying_failed(ended, (await engine.identity()).user))
            after = await _looks(order, engine, databases)
        blind = (
            [] if databases else [f"{order.login.user} sees no database: what must be in them is not known"]
        )
        return Taken(
            started_at=after.first,
            baseline=_baseline(order, server, (before, after), blind),
            position=after.position,
        )


_STAMP = re.compile(r"^\[\d+\] (?:FATAL ERROR: )?\d\S+ \S+\s+")
_MISSING = re.compile(r"missing required privilege (.+?) on \*\.\*|you need .*?([A-Z ]+) privilege")
_ERROR = re.compile(r"error:|\] FATAL ERROR", re.IGNORECASE)


def _copying_failed(ended: programs.Heard, user: str) -> tuple[str, str]:
    """(message, hint): its error rather than the grants of `user` that it lists behind it."""
    errors = [_STAMP.sub("", line) for line in ended.complaint.splitlines() if _ERROR.search(line)]
    why = f"{ended.how}: {errors[0]}" if errors else ended.why
    missing = [(found[1] or found[2]).strip() for line in errors if (found := _MISSING.search(line))]
    hint = f"GRANT {', '.join(missing)} ON *.* TO {_account(user)};" if missing else ""
    return f"mariadb-backup {why}; the backup was thrown away", hint


# ---- the words ----------------------------------------------------------------------------------------


async def _program(order: Order, role: str) -> Program:
    """Raises UsageError where there is none."""
    flavor = order.server.flavor
    found = await find(role, flavor, order.target.drills.binaries)
    if found is None:
        raise UsageError(
            f"no {names_of(role, flavor)[0]} of {label(flavor)} is on this machine; nothing was executed",
            f"install it, or name its folder as `binaries` of {order.target.name} in drills.targets",
        )
    return found


async def _databases(order: Order, engine: Engine) -> tuple[str, ...]:
    if order.database or order.target.database:
        return (order.database or order.target.database,)
    found = await engine.databases()
    if not found:
        raise UsageError(f"{order.target.name} has no database to be dumped; nothing was executed")
    return found


def _connection(order: Order) -> tuple[str, ...]:
    target, login = order.target, order.login
    if target.local:
        where: tuple[str, ...] = (f"--socket={target.host}",)
    else:
        where = (f"--host={target.host}", f"--port={login.port or target.port or 3306}", "--protocol=TCP")
    return (*where, f"--user={login.user}", *mysql_tls(target, order.server.flavor))


def _of_flavor(order: Order, *, logged: bool) -> tuple[str, ...]:
    """MySQL knows its GTIDs in a comment, which harms nobody."""
    if order.server.flavor == "mariadb":
        return ("--master-data=2", "--gtid") if logged else ()
    position = "--source-data=2" if order.server.version_num >= 80026 else "--master-data=2"
    return ("--no-tablespaces", "--set-gtid-purged=COMMENTED", *((position,) if logged else ()))


def _forecast(*, logged: bool) -> tuple[str, ...]:
    held = ("a snapshot is held as long as it takes, which keeps purge from what is deleted since",)
    return (*held, "all writes wait for a moment when it begins, for its position") if logged else held


def _call(words: Sequence[str], way: Entrance) -> programs.Call:
    argv = [words[0], *way.words, *words[1:]]
    return programs.Call(argv, options={**way.options, "umask": 0o077})


# ---- the dump -----------------------------------------------------------------------------------------


async def _all_of(
    order: Order, engine: Engine, drafted: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words and the databases. The plan was drawn up by a login that may see fewer of them than the one
    that takes the backup: none is left out for that.
    """
    at = drafted.index("--databases") + 1
    databases = tuple(drafted[at:])
    if not (order.database or order.target.database):
        databases = tuple(sorted({*databases, *await engine.databases()}))
    return (*drafted[:at], *databases), databases


def _refuse_blind(order: Order, before: _Look) -> None:
    """mysqldump leaves out what its login may not see, and says nothing (research finding 4 of drills)."""
    hidden = [(one.database, one.unseen) for one in before.inventories if one.unseen]
    if hidden:
        database, unseen = hidden[0]
        raise ActionFailed(
            f"{order.login.user} may not see every {', '.join(sorted(unseen))} of {database}: they would be "
            "left out without a word; nothing was backed up",
            " ".join(sorted(set(unseen.values()))),
        )


async def _dump(order: Order, dump: programs.Call, operator: Operator, place: Path) -> None:
    with await asyncio.to_thread(_made, place) as file:
        if place.suffix != ".gz":
            ended = await _run(order, operator, dump._replace(stdout=file), "dump")
            _refuse(ended, "the dump")
            return
        pack = shutil.which("gzip", path="/usr/bin:/bin") or "gzip"
        reads, writes = os.pipe()
        with os.fdopen(reads, "rb") as out, os.fdopen(writes, "wb") as into:
            packing = programs.Call([pack, "-c"], stdin=out, stdout=file)
            dumped, packed = await _both(
                _closing(_run(order, operator, dump._replace(stdout=into), "dump"), into.close),
                _closing(operator.run_tool(packing, "pack the dump"), out.close),
            )
    _refuse(dumped, "the dump")
    _refuse(packed, "gzip")


def _made(place: Path) -> IO[bytes]:
    return os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _refuse(ended: programs.Heard, what: str) -> None:
    if ended.code != 0:
        raise ActionFailed(f"{what} {ended.why}; the backup was thrown away")


async def _closing(work: Awaitable[T], close: Callable[[], None]) -> T:
    """Our own end of the pipe goes with the program, or the other one would never hear of its end."""
    try:
        return await work
    finally:
        with contextlib.suppress(OSError):
            close()


async def _both(one: Awaitable[T], other: Awaitable[T]) -> tuple[T, T]:
    """Both results; where one fails, the other has ended before that is told."""
    tasks = (asyncio.ensure_future(one), asyncio.ensure_future(other))
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(order: Order, operator: Operator, call: programs.Call, what: str) -> programs.Heard:
    """Raises Cancelled where a stop was asked for."""

    def look() -> None:
        operator.watch.advance(Advance(phase=what, done=bytes_in(order.partial), unit="B"))

    async with looking(look):
        task = asyncio.ensure_future(operator.run_tool(call, what))
        stop = asyncio.ensure_future(operator.watch.stop.wait())
        try:
            await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            who = operator.watch.stop.by or "its caller"
            raise Cancelled(f"stopped by {who}; the backup was thrown away")
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


# ---- accounts -----------------------------------------------------------------------------------------

_PLAIN = ("--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4")


async def _accounts(
    order: Order, call: programs.Call, operator: Operator, what: tuple[Inventory, Known]
) -> list[str]:
    """Beside the dump: they must be there before views are, and their rights on tables after these. The file
    holds verifiers, so only its owner may read it. What is missing is a note.

    mariadb-dump writes them itself; MySQL is asked for each. Rights on what is not in the dump could not be
    loaded.
    """
    server, known = what
    if "user" in server.unseen:
        return [_ACCOUNTS.format(hint=server.unseen["user"])]
    mariadb = order.server.flavor == "mariadb"
    names = [*server.objects.get("role", {}), *server.objects.get("user", {})]
    asked = "" if mariadb else "".join(f"{line};\n" for line in _questions(names))
    with await asyncio.to_thread(_questions_file, asked) as file:
        ended = await _run(order, operator, call._replace(stdin=file), "accounts and grants")
    if ended.code != 0:
        return [_ACCOUNTS.format(hint=ended.why)]
    text = ended.answer.decode()
    if not mariadb:
        text = "".join(f"{_if_not_there(line)};\n" for line in text.splitlines() if line)
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if known.holds(line)]
    place = order.partial / mysqldump.USERS
    text = "".join(kept)
    await operator.on_disk(f"write {place}: accounts and grants", lambda: _write(place, text))
    left = len(lines) - len(kept)
    return [_ELSEWHERE.format(count=left)] if left else []


def _questions(names: Sequence[str]) -> list[str]:
    """Those of all accounts before any grant, as roles are granted to accounts."""
    shown = [_account(name) for name in names]
    return [
        "SET SESSION print_identified_with_as_hex = ON",
        *(f"SHOW CREATE USER {one}" for one in shown),
        *(f"SHOW GRANTS FOR {one}" for one in shown),
    ]


def _account(name: str) -> str:
    user, _, host = name.rpartition("@")
    return f"{quote_literal(user, 'mysql')}@{quote_literal(host, 'mysql')}"


def _if_not_there(line: str) -> str:
    made = "CREATE USER "
    return f"{made}IF NOT EXISTS {line.removeprefix(made)}" if line.startswith(made) else line


def _questions_file(text: str) -> IO[bytes]:
    """Without a name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - its caller closes it
    file.write(text.encode())
    file.seek(0)
    return file


def _write(place: Path, text: str) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


# ---- what it must hold --------------------------------------------------------------------------------


class _Look(NamedTuple):
    """What was there, from `first` to `last` by the server's clock."""

    first: datetime
    last: datetime
    position: str
    inventories: tuple[Inventory, ...]
    contents: tuple[Contents, ...]


async def _looks(order: Order, engine: Engine, databases: Sequence[str]) -> _Look:
    """Each database in a snapshot of its own. The time is half of the budget, as there are two looks."""
    if not databases:
        async with engine.snapshot("") as moment:
            return _Look(moment.taken_at, moment.taken_at, moment.position, (), ())
    wanted = Wanted(seconds=seconds_of(order.target.drills.budget) / 2 / max(1, len(databases)))
    moments: list[datetime] = []
    inventories, contents, position = [], [], ""
    for database in databases:
        async with engine.snapshot(database) as moment:
            moments.append(moment.taken_at)
            position = position or moment.position
            inventories.append(await moment.inventory())
            contents.append(await moment.contents(wanted))
    return _Look(moments[0], moments[-1], position, tuple(inventories), tuple(contents))


def _baseline(order: Order, server: Inventory, looks: tuple[_Look, _Look], notes: Sequence[str]) -> Baseline:
    """Exact of what was the same before and after; of the rest nothing is said."""
    before, after = looks
    pairs = [same_inventory(a, b) for a, b in zip(before.inventories, after.inventories, strict=True)]
    left = [f"{name} of {one.database}" for one, names in pairs for name in names]
    told = f"{_CHANGED}: {', '.join(left[:20])}{' …' if len(left) > 20 else ''}"
    return Baseline(
        exact=True,
        taken_at=before.last,
        origin=f"what was the same before and after {order.name} was taken",
        inventories=(server, *(one for one, _ in pairs)),
        contents=tuple(same_contents(a, b) for a, b in zip(before.contents, after.contents, strict=True)),
        notes=(*notes, *([told] if left else [])),
    )


def same_inventory(before: Inventory, after: Inventory) -> tuple[Inventory, list[str]]:
    """What is in both, and the names of what is not. Of an object that was defined anew its fingerprint is
    left out.
    """
    kept: Objects = {}
    left: list[str] = []
    for kind in sorted({*before.objects, *after.objects}):
        old, new = before.objects.get(kind, {}), after.objects.get(kind, {})
        kept[kind] = {name: old[name] if old[name] == new[name] else "" for name in old if name in new}
        left += [f"{kind} {name}" for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return msgspec.structs.replace(before, objects=kept), left


def same_contents(before: Contents, after: Contents) -> Contents:
    """A table whose count and checksum did not move holds just that in the backup; of the others only a
    person could tell.
    """
    later = after.by_name()
    tables = [_same(one, later[one.name]) for one in before.tables if one.name in later]
    return msgspec.structs.replace(before, tables=tuple(tables), seconds=before.seconds + after.seconds)


def _same(old: TableContent, new: TableContent) -> TableContent:
    if msgspec.structs.replace(old, why="") == msgspec.structs.replace(new, why="") and old.exact:
        return old
    if not old.exact or not new.exact:
        return msgspec.structs.replace(old, rows=None, exact=False, checksum="", why=old.why or new.why)
    return msgspec.structs.replace(old, rows=None, exact=False, checksum="", why=_CHANGED)
