"""table.vacuum, table.analyze and table.optimize: one table or many, in short tries, proved one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from actions import clusters, draft, held_back, proof
from actions import table_statements as statements
from actions.fact_words import BESIDE, MAINTAIN, READING, REBUILDING, TO_MAINTAIN
from actions.in_the_way import ACCESS_EXCLUSIVE, EXCLUSIVE, READ, SHARE_UPDATE_EXCLUSIVE
from actions.index_words import revived
from actions.jobs import Job, jobs_of
from actions.permitted import PRIVILEGES, permitted
from actions.selection import TableArgs, select
from actions.table_statements import POSTGRES, VacuumOptions
from actions.unable import able
from actions.words import counted, largest_of, some
from actions.work import perform
from console.dispatch.action import Look, Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need
from console.model.tables import Table
from console.model.target import ServerIdentity
from console.present.units import count, size


class VacuumArgs(TableArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`full` writes the table anew under an exclusive lock, and wants the target's name typed.

    `cost_delay` (ms) and `cost_limit` are those of this run; `parallel` counts index workers.
    `buffer_usage_limit` is 128 kB to 16 GB, `256kB`, `2MB`; 0 is no limit.
    """

    full: bool = False
    freeze: bool = False
    analyze: bool = False
    index_cleanup: Literal["", "auto", "on", "off"] = ""
    truncate: bool | None = None
    parallel: Annotated[int, msgspec.Meta(ge=0, le=1024)] | None = None
    cost_delay: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    cost_limit: Annotated[int, msgspec.Meta(ge=1, le=10000)] | None = None
    buffer_usage_limit: str = ""

    @property
    def options(self) -> VacuumOptions:
        return VacuumOptions(
            full=self.full,
            freeze=self.freeze,
            analyze=self.analyze,
            index_cleanup=self.index_cleanup or None,
            truncate=self.truncate,
            parallel=self.parallel,
            cost_delay=self.cost_delay,
            cost_limit=self.cost_limit,
            buffer_usage_limit=self.buffer_usage_limit or None,
        )


class OptimizeArgs(TableArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`replicate`: the statement goes to the replicas too (they then rebuild as long as it took here)."""

    replicate: bool = False


class Maintenance:
    """What the actions on tables have in common."""

    name: str
    summary: str
    risk = Risk.LOW
    lasting: Literal[True] = True

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await perform(plan, operator)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        seen = await proof.verify(plan, engine, patience=patience)
        if plan.server.flavor != POSTGRES or seen.state not in ("applied", "partial"):
            return seen
        return seen.with_evidence(await held_back.left(plan, engine, partly=seen.state == "partial"))

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:
        """The arguments of what the server does not show as done; none where all of it is."""
        left = await proof.left(plan, engine)
        return draft.narrowed(plan, left) if left else {}

    def lock(self, plan: Plan) -> str:
        return draft.lock_of(plan)

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        """MySQL 8.4 and newer have a privilege for keeping OPTIMIZE from the replicas."""
        found = draft.needs(plan, PRIVILEGES)
        local = any(job.statement.sql.startswith(statements.OPTIMIZE_LOCAL) for job in jobs_of(plan))
        if not local or plan.server.flavor != "mysql" or plan.server.version_num < 80400:
            return found
        return (*found, Need(schema="*", name="*", privileges=("OPTIMIZE_LOCAL_TABLE",)))


class TableWork(Maintenance):
    """One statement a table, planned by what the table is: the rest of a plan changes nothing of it."""

    async def look(self, plan: Plan, engine: Engine) -> Look:
        return await draft.look(plan, engine)


class VacuumTable(TableWork):
    """Reads and writes go on; only `full` stops them."""

    name = "table.vacuum"
    summary = "vacuum tables: one, some, the worst or all; side by side and in short tries for locks"
    flavors: tuple[str, ...] = ("postgresql",)
    facts = Facts(
        on={
            "postgresql": On(
                locks=f"{SHARE_UPDATE_EXCLUSIVE} on each table: {BESIDE}; "
                "`truncate` takes AccessExclusiveLock for a moment where nobody is in its way. With "
                f"`full` {ACCESS_EXCLUSIVE} as long as it is written: everybody waits, readers too",
                rights=MAINTAIN,
            )
        },
        undo="nothing; without `full` nothing is lost either",
        risk="high with `full`",
    )
    Args = VacuumArgs

    async def plan(self, engine: Engine, args: VacuumArgs) -> Plan:
        on = await draft.ground(self, engine)
        server = on.server
        chosen, not_ours = await permitted(on, args, await select(engine, args))
        tables, left_out = await draft.free(on, args, chosen)
        options = msgspec.structs.replace(args.options, one_of_many=len(tables) > 1)
        jobs = [_vacuum_job(server, table, options) for table in tables]
        made = await draft.plan(
            on,
            args,
            jobs,
            risk=Risk.HIGH if args.full else Risk.LOW,
            confirm=args.full,
            undo="nothing undoes it; nothing is lost" if not args.full else "nothing undoes it",
        )
        made = draft.finished_by(made, statements.finish(server) if options.one_of_many else None)
        made = draft.settled_by(made, statements.settle(job.statement for job in jobs))
        return draft.more(
            made,
            forecast=(*_need(tables), *(await _rewrite(engine, tables) if args.full else ())),
            warnings=(
                *left_out,
                *not_ours,
                *await held_back.warnings(engine, jobs),
                *_vacuum_warnings(args, tables),
                *(await revived(engine, tables) if args.full else ()),
            ),
        )


class AnalyzeTable(TableWork):
    name = "table.analyze"
    summary = "collect planner statistics of tables: one, some, the worst or all; side by side"
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    facts = Facts(
        on={
            "postgresql": On(
                locks=f"{SHARE_UPDATE_EXCLUSIVE} on each table: {BESIDE}",
                rights=MAINTAIN,
            ),
            "mysql": On(locks=READING, rights=TO_MAINTAIN),
            "mariadb": On(locks=READING, rights=TO_MAINTAIN),
        },
        undo="nothing; the plans of queries may change",
    )
    Args = TableArgs

    async def plan(self, engine: Engine, args: TableArgs) -> Plan:
        on = await draft.ground(self, engine)
        server = on.server
        chosen, unfit = able(await select(engine, args, whole=True), "ANALYZE", args)
        chosen, not_ours = await permitted(on, args, chosen)
        tables, left_out = await draft.free(on, args, chosen)
        lock = SHARE_UPDATE_EXCLUSIVE if server.flavor == POSTGRES else READ
        many = len(tables) > 1
        jobs = [_analyze_job(server, table, lock, one_of_many=many) for table in tables]
        made = await draft.plan(on, args, jobs, undo="nothing undoes it; plans of queries may change")
        made = draft.settled_by(made, statements.settle(job.statement for job in jobs))
        return draft.more(
            made,
            forecast=_changes(tables),
            warnings=(*left_out, *not_ours, *_analyze_warnings(server, tables), *unfit),
        )


class OptimizeTable(TableWork):
    """InnoDB rebuilds the table beside the old one; readers and writers wait only at its two ends."""

    name = "table.optimize"
    summary = "rebuild tables, which gives free space inside them back; online where the engine can"
    risk = Risk.MEDIUM
    flavors: tuple[str, ...] = ("mysql", "mariadb")
    facts = Facts(
        on={
            "mysql": On(
                locks=REBUILDING,
                rights=f"{TO_MAINTAIN}; from 8.4 also `OPTIMIZE_LOCAL_TABLE`, unless `replicate=true`",
            ),
            "mariadb": On(locks=REBUILDING, rights=TO_MAINTAIN),
        },
        undo="nothing",
        risk="high with `replicate=true` on a node of Galera, whose whole cluster waits",
    )
    Args = OptimizeArgs

    async def plan(self, engine: Engine, args: OptimizeArgs) -> Plan:
        on = await draft.ground(self, engine)
        server = on.server
        chosen, unfit = able(await select(engine, args), "OPTIMIZE", args)
        tables, not_ours = await permitted(on, args, chosen)
        jobs = [_optimize_job(server, table, replicate=args.replicate) for table in tables]
        node = await clusters.galera_of(engine, server) if args.replicate else None
        risk = Risk.HIGH if clusters.stops_all(node) else self.risk
        made = await draft.plan(on, args, jobs, risk=risk, undo="nothing undoes it")
        return draft.more(
            made,
            forecast=(*_freed(tables), *await _rewrite(engine, tables)),
            warnings=(
                *clusters.of_ddl(node),
                *not_ours,
                *_optimize_warnings(tables, replicate=args.replicate),
                *unfit,
            ),
        )


# ---- jobs --------------------------------------------------------------------------------------


def _vacuum_job(server: ServerIdentity, table: Table, options: VacuumOptions) -> Job:
    statement = statements.vacuum(server, table.schema, table.name, options)
    if options.full:
        return draft.table_job(table, "vacuum full", statement, ACCESS_EXCLUSIVE, exclusive=True)
    return draft.table_job(table, "vacuum", statement, SHARE_UPDATE_EXCLUSIVE)


def _analyze_job(server: ServerIdentity, table: Table, lock: str, *, one_of_many: bool) -> Job:
    statement = statements.analyze(server, table.schema, table.name, one_of_many=one_of_many)
    return draft.table_job(table, "analyze", statement, lock)


def _optimize_job(server: ServerIdentity, table: Table, *, replicate: bool) -> Job:
    statement = statements.optimize(server, table.schema, table.name, replicate=replicate)
    online = table.storage.casefold() == "innodb"
    return draft.table_job(table, "optimize", statement, EXCLUSIVE, exclusive=not online)


# ---- words -------------------------------------------------------------------------------------


def _need(tables: Sequence[Table]) -> tuple[str, ...]:
    dead = [table.dead for table in tables if table.dead is not None]
    having = counted(sum(1 for one in dead if one) or len(dead), "table")
    said = [f"{_rows(sum(dead), 'dead row')} in {having}"] if dead else []
    oldest = max((table for table in tables if table.xid_age is not None), key=_xid_age, default=None)
    if oldest is not None:
        said.append(f"oldest transaction number {count(_xid_age(oldest))} back, in {oldest.key}")
    pinned = [table for table in tables if "hold" in table.why]
    said += [f"{table.key}: {table.why}" for table in pinned[:3]]
    return tuple(said)


def _xid_age(table: Table) -> int:
    return table.xid_age or 0


def _changes(tables: Sequence[Table]) -> tuple[str, ...]:
    known = [table.modified for table in tables if table.modified is not None]
    never = sum(1 for table in tables if table.analyzed_at is None and table.modified is not None)
    said = [f"{_rows(sum(known), 'row')} changed since the statistics were collected"] if known else []
    return (*said, *([f"{counted(never, 'table')} without any yet"] if never else []))


def _rows(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _freed(tables: Sequence[Table]) -> tuple[str, ...]:
    free = [table.free_bytes for table in tables if table.free_bytes is not None]
    return (f"{size(sum(free))} are free inside, most of which is given back",) if sum(free) else ()


async def _rewrite(engine: Engine, tables: Sequence[Table]) -> tuple[str, ...]:
    """A rebuild stands beside the old table until it is done."""
    if not tables:
        return ()
    largest = largest_of([None if table.at_least else table.total_bytes for table in tables])
    disk = await engine.disk(tables[0].schema, tables[0].name)
    free = size(disk.free) if disk.free is not None else f"unknown: {disk.why}"
    return (f"disk needed for the copy of the largest: {largest}; free: {free}",)


def _vacuum_warnings(args: VacuumArgs, tables: Sequence[Table]) -> tuple[str, ...]:
    said = []
    if args.truncate is not False and not args.full:
        said.append(
            "at its end VACUUM may cut empty pages off under a short exclusive lock, which standbys replay "
            "and cancel queries for; truncate=false leaves them"
        )
    if args.full:
        said.append(
            "standbys get the whole new file, and replay the exclusive lock: there it cancels queries on the "
            "table, or waits for them and falls behind (max_standby_streaming_delay)"
        )
    if args.index_cleanup == "off":
        said.append("without index cleanup dead rows stay, only their contents go")
    off = [table.key for table in tables if not table.autovacuum]
    if off:
        said.append(f"autovacuum is switched off for {some(off)}")
    return tuple(said)


def _analyze_warnings(server: ServerIdentity, tables: Sequence[Table]) -> tuple[str, ...]:
    if server.flavor == "mysql" and server.version_num >= 80024:
        return ()
    if server.flavor == POSTGRES or not tables:
        return ()
    return (
        "ANALYZE makes later statements wait until those that already use the table have ended; "
        "a long query on it stops everybody behind it",
    )


def _optimize_warnings(tables: Sequence[Table], *, replicate: bool) -> tuple[str, ...]:
    offline = [table.key for table in tables if table.storage.casefold() != "innodb"]
    said = [f"not InnoDB, locked while it runs: {some(offline)}"] if offline else []
    if replicate:
        said.append("replicas rebuild it too, and fall behind for as long as that takes")
    return tuple(said)
