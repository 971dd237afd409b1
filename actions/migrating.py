"""One rehearsal: a backup restored, a migration run up and down on it, and what that did."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from actions.drill_choice import Chosen
from actions.migration_clients import Client, Psql, Ran, fits_one_transaction
from actions.migration_locks import Sampler
from actions.migration_mysql import MysqlClient
from actions.restorers import RESTORERS
from actions.restoring import Restored, Restorer, Site, host, room
from console.dispatch.enclosure import Enclosure
from console.dispatch.operator import Operator
from console.engine.port import Engine, Statement
from console.errors import ActionFailed, Cancelled, DbdeckError, Refused, UsageError
from console.model.backups import DrillRule, seconds_of
from console.model.drills import Outcome, PhaseName, Verdict
from console.model.inventory import (
    Contents,
    Difference,
    Inventory,
    TableContent,
    Wanted,
    differences,
    named,
)
from console.model.rehearsals import Rehearsal, Script, Stretch
from console.model.tables import TableQuery
from console.model.target import EngineKind
from console.named_file import read_named

MOST_BYTES = 64 << 20  # of a script
MOST_TABLES = 5000  # whose locks are looked at
_TELLS = 20

# The files of tables and indexes: another number is another file. Named as in the probe of locks.
_FILES = """
select n.nspname || '.' || coalesce(t.relname || ' (' operator(pg_catalog.||) c.relname || ')', c.relname),
       c.relfilenode::int8
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_index x on x.indexrelid = c.oid
  left join pg_class t on t.oid = x.indrelid
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and c.relkind in ('r', 'p', 'm', 'i', 'I', 'S', 'v')
"""


class Wish(NamedTuple):
    """`down` None: nothing leads back. `database` empty: the target's, or the only one."""

    up: Script
    down: Script | None
    database: str
    apart: bool  # statement by statement, as the script stands


class State(NamedTuple):
    """What is in the database, with the files of its tables (PostgreSQL)."""

    inventory: Inventory
    files: Mapping[str, int]


def read_script(path: str) -> Script:
    """Raises UsageError where it cannot be read, or is not text."""
    return read_text(path)[0]


def read_text(path: str) -> tuple[Script, str]:
    """With its text, read at once: it is the text of exactly this sum. Raises as `read_script`."""
    where = Path(path).expanduser()
    try:
        size = where.stat().st_size
        if size > MOST_BYTES:
            raise UsageError(
                f"{where} has {size} bytes, and a script {MOST_BYTES} at most; nothing was executed"
            )
        data = read_named(where)
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}; nothing was executed") from None
    except UnicodeDecodeError:
        raise UsageError(f"{where} is not UTF-8; nothing was executed") from None
    if not data.strip():
        raise UsageError(f"{where} is empty; nothing was executed")
    script = Script(path=str(where.absolute()), sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    return script, text


class Migration:
    """One at work. Whatever breaks, there is a report, and nothing of the copy is left."""

    def __init__(
        self, rehearsal_id: str, chosen: Chosen, wish: Wish, rule: DrillRule, operator: Operator
    ) -> None:
        self._id = rehearsal_id
        self._chosen = chosen
        self._wish = wish
        self._rule = rule
        self._operator = operator
        self._restorer: Restorer = RESTORERS[chosen.source.method]
        self._began = datetime.now(UTC)
        self._clock = time.monotonic()
        self._verdict = Verdict.INCONCLUSIVE
        self._reasons: list[str] = []
        self._notes: list[str] = []
        self._up: Stretch | None = None
        self._down: Stretch | None = None
        self._astray = Difference()
        self._data: tuple[str, ...] = ()
        self._data_seen = (0, 0)
        self._database = wish.database
        self._commands: tuple[str, ...] = ()
        self._root: Path | None = None
        self.site = Site(rule, chosen.source, chosen.backup, operator.watch)

    async def run(self) -> Rehearsal:
        """Never raises for what is wrong with the migration, the backup or the rehearsal itself."""
        try:
            await self._all()
        except Cancelled as error:
            self._verdict = Verdict.ABORTED
            self._reasons.append(error.message)
        except DbdeckError as error:
            self._verdict = Verdict.INCONCLUSIVE
            self._reasons.append(f"{error.message}{f' ({error.hint})' if error.hint else ''}")
        except Exception as error:  # noqa: BLE001 - whatever broke, there is a report
            self._verdict = Verdict.INCONCLUSIVE
            self._reasons.append(f"the rehearsal broke inside: {type(error).__name__}: {error}")
        return self._report()

    async def _all(self) -> None:
        await self._precheck()
        closed = self._rule.network == "closed"
        try:
            async with self._operator.enclosure(
                self._restorer.kind, self._rule.scratch_folder, closed=closed
            ) as enclosure:
                self._root = enclosure.root
                try:
                    await self._within(enclosure, await self._restored(enclosure))
                finally:
                    self._commands = tuple(enclosure.commands)
        finally:
            if self._root is not None and self._root.exists():
                self._reasons.append(f"left behind: {self._root}")

    # ---- the copy -----------------------------------------------------------------------------------

    async def _precheck(self) -> None:
        if not self._chosen.backup.id:
            raise ActionFailed(f"nothing to rehearse on: {'; '.join(self._chosen.backup.faults)}")
        site = self.site
        async with site.phase(PhaseName.PRECHECK):
            site.checks += await site.unless_stopped(self._restorer.tools(site))
            self._unless_bad("the programs")
            site.checks.append(await room(self._rule, await site.unless_stopped(self._restorer.space(site))))
            self._unless_bad("room")

    def _unless_bad(self, what: str) -> None:
        bad = [one for one in self.site.checks if one.outcome in (Outcome.FAILED, Outcome.BROKEN)]
        if bad:
            raise ActionFailed(f"{what}: {bad[0].detail or bad[0].name}; no script was run")

    async def _restored(self, enclosure: Enclosure) -> Restored:
        site = self.site
        restored = await site.unless_stopped(self._restorer.restore(site, enclosure))
        if restored is None:
            bad = next((one for one in site.checks if one.outcome is Outcome.FAILED), None)
            why = f"{bad.name}: {bad.detail}" if bad else "nobody knows why"
            raise ActionFailed(f"the backup could not be restored: {why}; no script was run")
        fences = await site.unless_stopped(self._restorer.fence(site, enclosure, restored))
        site.checks += fences
        if any(one.outcome in (Outcome.FAILED, Outcome.BROKEN) for one in fences):
            raise Refused("the restored server is not fenced in; no script was run")
        faults = [one.name for one in site.checks if one.outcome is Outcome.FAILED]
        if faults:
            self._notes.append(f"the backup itself has faults: {', '.join(faults[:5])}")
        return restored

    # ---- the scripts ----------------------------------------------------------------------------------

    async def _within(self, enclosure: Enclosure, restored: Restored) -> None:
        self._database = self._database_of(restored)
        target = msgspec.structs.replace(restored.target, database=self._database)
        here = _Here(self.site, enclosure, msgspec.structs.replace(restored, target=target))
        async with self.site.phase(PhaseName.VERIFY):
            await here.ready()
            before = await self.site.unless_stopped(here.state())
            rows = None
            if self._wish.down is not None:
                rows = await self.site.unless_stopped(here.contents(()))
            self._up = await here.run(self._wish.up, before, apart=self._wish.apart)
            if self._up.error:
                self._fail(f"up stopped{_at(self._up)}: {self._up.error}")
            await self._back(here, before, rows)
        if not self._reasons:
            self._verdict = Verdict.PASS

    async def _back(self, here: _Here, before: State, rows: Contents | None) -> None:
        """Whether `down` leads to where `up` began; after an `up` that stopped half-way, too."""
        if self._wish.down is None or rows is None:
            self._notes.append("there is no down: what leads back was not rehearsed")
            return
        if self._up is not None and self._up.error and self._up.one_transaction:
            self._notes.append("up was rolled back as a whole: down was not run")
            return
        middle = await self.site.unless_stopped(here.state())
        self._down = await here.run(self._wish.down, middle, apart=self._wish.apart)
        if self._down.error:
            self._fail(f"down stopped{_at(self._down)}: {self._down.error}")
        after = await self.site.unless_stopped(here.state())
        self._astray = differences(before.inventory, after.inventory)
        if self._astray:
            self._fail(f"down does not lead back: {said(self._astray)}")
        found = await self.site.unless_stopped(here.contents(rows.tables))
        self._data, self._data_seen = compared(rows, found)
        if self._data:
            self._fail(f"down does not bring the rows back of {', '.join(self._data[:5])}")

    def _database_of(self, restored: Restored) -> str:
        wanted = self._wish.database or self._operator.engine.target.database
        if wanted in restored.databases:
            return wanted
        if not self._wish.database and len(restored.databases) == 1:
            return restored.databases[0]
        raise ActionFailed(
            f"the backup has no database {wanted!r}; no script was run",
            f"database= one of: {', '.join(restored.databases)}",
        )

    def _fail(self, why: str) -> None:
        self._verdict = Verdict.FAIL
        self._reasons.append(why)

    def _report(self) -> Rehearsal:
        left = (str(self._root),) if self._root is not None and self._root.exists() else ()
        verdict = self._verdict
        if left and verdict is Verdict.PASS:
            verdict = Verdict.INCONCLUSIVE
        return Rehearsal(
            id=self._id,
            action_id=str(self._operator.action_id),
            target=self._operator.engine.target.name,
            source=self._chosen.name,
            backup=self._chosen.backup,
            database=self._database,
            verdict=verdict,
            reasons=tuple(self._reasons),
            started_at=self._began,
            seconds=round(time.monotonic() - self._clock, 3),
            phases=tuple(self.site.phases),
            checks=tuple(self.site.checks),
            up=self._up,
            down=self._down,
            astray=self._astray,
            data=self._data,
            data_seen=self._data_seen,
            notes=tuple(self._notes),
            tools=dict(self.site.tools),
            host=host(),
            commands=self._commands,
            left=left,
        )


class _Here:
    """The copy, as scripts find it."""

    def __init__(self, site: Site, enclosure: Enclosure, restored: Restored) -> None:
        self._site = site
        self._enclosure = enclosure
        self._restored = restored
        self._client: Client = _client(restored.target.engine)
        self._engine: Engine

    async def ready(self) -> None:
        self._engine = await self._enclosure.reading(self._restored.target)
        await self._client.ready(self._site, self._enclosure, self._restored)

    @property
    def _postgres(self) -> bool:
        return self._restored.target.engine is EngineKind.POSTGRES

    async def state(self) -> State:
        inventory = await self._engine.inventory(self._restored.target.database)
        files: dict[str, int] = {}
        if self._postgres:
            statement = Statement(sql=_FILES, shown="look which files tables and indexes have")
            for name, number in await self._enclosure.execute(self._restored.target, statement):
                files[str(name)] = int(str(number))
        return State(inventory, files)

    async def contents(self, like: tuple[TableContent, ...]) -> Contents:
        wanted = Wanted(seconds=seconds_of(self._site.rule.budget), like=like)
        return await self._engine.contents(self._restored.target.database, wanted)

    async def run(self, script: Script, before: State, *, apart: bool) -> Stretch:
        """Raises ActionFailed where the script is not the one that was planned."""
        text = await asyncio.to_thread(_same, script)
        one_transaction = self._postgres and not apart and not fits_one_transaction(text)
        tables = await self._engine.tables(TableQuery(limit=MOST_TABLES, brief=True))
        pairs = [(one.schema, one.name) for one in tables.tables]
        sampler = Sampler(self._engine, pairs)
        self._site.watch.tell(f"run {script.path} …")
        looking = asyncio.create_task(sampler.watch())
        start = time.monotonic()
        try:
            with await asyncio.to_thread(Path(script.path).open, "rb") as file:
                ended = await self._client.run(
                    Ran(self._restored.target.database, file, f"rehearse {script.path}", one_transaction)
                )
        finally:
            seconds = time.monotonic() - start
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
        after = await self._site.unless_stopped(self.state())
        exact = {name: mode for name, mode in ended.locks.items() if name in before.files}
        return Stretch(
            script=script,
            seconds=round(seconds, 3),
            error=ended.error,
            line=ended.line,
            one_transaction=one_transaction,
            locks=sampler.held(exact),
            looks=sampler.looks,
            unseen=sampler.unseen,
            rewritten=tuple(sorted(_rewritten(before.files, after.files))),
            changed=differences(before.inventory, after.inventory),
        )


def _client(engine: EngineKind) -> Client:
    return Psql() if engine is EngineKind.POSTGRES else MysqlClient()


def _same(script: Script) -> str:
    """Its text. Raises ActionFailed where it changed since it was planned."""
    try:
        data = read_named(script.path)
    except OSError as error:
        raise ActionFailed(f"{script.path} cannot be read: {error.strerror}; it was not run") from None
    if hashlib.sha256(data).hexdigest() != script.sha256:
        raise ActionFailed(f"{script.path} changed since it was planned; it was not run", "plan it again")
    return data.decode("utf-8", "replace")


def _rewritten(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    return [name for name, number in before.items() if after.get(name, number) != number]


def compared(before: Contents, after: Contents) -> tuple[tuple[str, ...], tuple[int, int]]:
    """(tables whose rows are others, (tables that could be compared, tables there were))."""
    found = after.by_name()
    pairs = [(one, found[one.name]) for one in before.tables if one.name in found]
    sure = [(a, b) for a, b in pairs if a.rows is not None and b.rows is not None and a.exact and b.exact]
    sure = [(a, b) for a, b in sure if a.checksum and b.checksum and a.sample == b.sample]
    bad = tuple(a.name for a, b in sure if (a.rows, a.checksum) != (b.rows, b.checksum))
    return bad, (len(sure), len(before.tables))


def said(difference: Difference) -> str:
    """In words: what is missing, more, or other than before."""
    parts = (
        ("missing are", difference.missing), ("too many are", difference.more),
        ("other than before are", difference.changed),
    )  # fmt: skip
    return "; ".join(f"{words} {named(pairs, _TELLS)}" for words, pairs in parts if pairs)


def _at(stretch: Stretch) -> str:
    return f" at line {stretch.line}" if stretch.line is not None else ""
