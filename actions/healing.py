"""database.maintain: what would make this server healthy, in order, as one plan to approve and run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from actions import draft, held_back, patience
from actions import table_statements as statements
from actions.fact_words import BESIDE, MAINTAIN, REBUILDING, TO_MAINTAIN
from actions.in_the_way import EXCLUSIVE, READ, SHARE_UPDATE_EXCLUSIVE
from actions.index_jobs import drop_job, reindex_job
from actions.jobs import Job
from actions.leftovers import perform_and_clear
from actions.limits import WorkArgs
from actions.names import Name, parse_name, show_name
from actions.permitted import permitted
from actions.selection import MOST
from actions.selection import leaves as leaves_of
from actions.table_statements import POSTGRES, VacuumOptions
from actions.tables import Maintenance
from actions.words import counted
from console.dispatch.action import Plan, Result, Risk
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import UsageError
from console.model.indexes import Finding, IndexFinding, IndexHealth
from console.model.tables import Table, TableKind, TableQuery, Tables
from console.model.target import ServerIdentity

VERBS = ("drop invalid", "vacuum freeze", "vacuum", "reindex", "optimize", "analyze")
BLOAT_BYTES = 10 << 20  # less certain waste than this is not worth a rebuild
FREE_SHARE = 0.3
FREE_BYTES = 100 << 20
ADVICE = 8
TOLD = 30
LOOKED_AT = 1000  # tables, those in most need first
_LEFT = (Finding.INVALID, Finding.LEFTOVER_NEW, Finding.LEFTOVER_OLD)
# What mends an invalid index. One that stands for those of partitions has none: its DROP takes them along.
_MENDED = {"index.drop_invalid": "drop invalid", "index.reindex": "reindex"}
_DONE_HERE = (*_LEFT, Finding.BLOATED, Finding.BUILDING)


class MaintainArgs(WorkArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`most`: so many steps at most, the first ones. `step` are those of a plan already made, as
    `vacuum shop.orders`; without them the server is looked at.
    """

    most: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 200
    step: str | tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """What is done to one object, and why."""

    verb: str
    schema: str
    name: str
    why: str = ""

    @property
    def shown(self) -> str:
        return f"{self.verb} {show_name(self.schema, self.name)}"


class MaintainDatabase(Maintenance):
    """Invalid indexes first, then what keeps the server from stopping, then dead rows, bloat, statistics."""

    name = "database.maintain"
    summary = "everything that would make the database healthy, in order: a plan to save, approve and run"
    risk = Risk.MEDIUM
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    facts = Facts(
        on={
            "postgresql": On(
                locks=f"{SHARE_UPDATE_EXCLUSIVE} on one table after the other: {BESIDE}",
                rights=f"{MAINTAIN}; the owner's role for indexes that are dropped",
            ),
            "mysql": On(
                locks=REBUILDING,
                rights=f"{TO_MAINTAIN}; from 8.4 also `OPTIMIZE_LOCAL_TABLE`",
            ),
            "mariadb": On(locks=REBUILDING, rights=TO_MAINTAIN),
        },
        undo="nothing; nothing is lost",
    )
    Args = MaintainArgs

    async def plan(self, engine: Engine, args: MaintainArgs) -> Plan:
        on = await draft.ground(self, engine)
        server = on.server
        tables = await engine.tables(TableQuery(limit=LOOKED_AT))
        health = await engine.index_health()
        given = (args.step,) if isinstance(args.step, str) else args.step
        steps = [read_step(one) for one in given if one]
        wanted = steps or wanted_of(server, tables, health)[: args.most]
        chosen, not_ours = await permitted(on, args, await _jobs(engine, server, wanted))
        jobs, left_out = await draft.free(on, args, chosen)
        made = await draft.plan(on, args, jobs, risk=self.risk, undo="nothing undoes it; nothing is lost")
        found = await engine.indexes(draft.of_names(draft.tables_of(jobs)), ()) if jobs else ()
        made = draft.with_subject(made, before=[one.number for one in found])
        return draft.more(
            made,
            forecast=(*_reasons(wanted, jobs), *await patience.forecast(engine, server, jobs)),
            warnings=(
                *left_out,
                *not_ours,
                *(await held_back.warnings(engine, jobs) if server.flavor == POSTGRES else ()),
                *_advice(health),
            ),
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await perform_and_clear(plan, operator)


def read_step(text: str) -> Step:
    """Raises UsageError for what is no step."""
    verb = next((one for one in VERBS if text.startswith(f"{one} ")), None)
    if verb is None:
        raise UsageError(
            f"{text!r} is no step; nothing was executed", f"a step is one of: {', '.join(VERBS)}"
        )
    return Step(verb, *parse_name(text[len(verb) + 1 :]))


# ---- what is wanted ----------------------------------------------------------------------------


def wanted_of(server: ServerIdentity, tables: Tables, health: IndexHealth) -> list[Step]:
    """In the order in which it should be done; pure."""
    leaves = leaves_of(tables.tables)
    steps = [
        Step(_MENDED[one.action], one.schema, one.name, f"{one.finding}: {one.why}")
        for one in health.findings
        if one.finding in _LEFT and one.action in _MENDED
    ]
    if server.flavor == POSTGRES:
        return steps + _vacuums(tables, leaves) + _rebuilds(health) + _analyzes(tables.tables)
    return _optimizes(leaves) + _collections(leaves)


def _vacuums(tables: Tables, leaves: Sequence[Table]) -> list[Step]:
    limit = tables.wraparound.xid.limits.freeze if tables.wraparound else None
    old = [table for table in leaves if limit is not None and (table.xid_age or 0) > limit]
    old.sort(key=lambda table: -(table.xid_age or 0))
    frozen = [
        Step(
            "vacuum freeze", table.schema, table.name, f"its oldest row is {table.xid_age:,} transactions old"
        )
        for table in old
    ]
    kept = {table.key for table in old}
    full = [table for table in leaves if _over(table.dead, table.vacuum_at) and table.key not in kept]
    full.sort(key=lambda table: -(table.dead or 0))
    return frozen + [
        Step(
            "vacuum",
            table.schema,
            table.name,
            f"{table.dead:,} dead rows, autovacuum comes at {table.vacuum_at}",
        )
        for table in full
    ]


def _over(seen: int | None, limit: int | None) -> bool:
    return seen is not None and limit is not None and seen > limit


def _rebuilds(health: IndexHealth) -> list[Step]:
    found = [one for one in health.findings if one.finding is Finding.BLOATED and _certain(one)]
    return [Step("reindex", one.schema, one.name, one.why) for one in found]


def _certain(one: IndexFinding) -> bool:
    """Even at the lower end of its error bar."""
    return one.bloat is not None and one.bloat.low >= BLOAT_BYTES


def _analyzes(tables: tuple[Table, ...]) -> list[Step]:
    """A partitioned table whose own statistics are stale goes with all its partitions."""
    roots = [one for one in tables if one.kind is TableKind.PARTITIONED and not one.parent]
    roots = [one for one in roots if one.stale_statistics]
    keys = {one.key for one in roots}
    found = [
        one
        for one in leaves_of(tables)
        if one.parent not in keys and (_over(one.modified, one.analyze_at) or _never(one))
    ]
    return [
        *(Step("analyze", one.schema, one.name, _OF_THE_WHOLE) for one in roots),
        *(
            Step("analyze", one.schema, one.name, "no statistics yet" if _never(one) else _changed(one))
            for one in found
        ),
    ]


_OF_THE_WHOLE = "its statistics as a whole are stale, which autovacuum never collects"


def _never(table: Table) -> bool:
    return table.analyzed_at is None and bool(table.modified)


def _changed(table: Table) -> str:
    return f"{table.modified:,} rows changed since its statistics"


def _optimizes(leaves: Sequence[Table]) -> list[Step]:
    return [
        Step("optimize", table.schema, table.name, f"{table.free_bytes:,} bytes are free inside")
        for table in leaves
        if (table.free_bytes or 0) >= max(FREE_BYTES, FREE_SHARE * (table.total_bytes or 0))
    ]


def _collections(leaves: Sequence[Table]) -> list[Step]:
    stale = [table for table in leaves if table.stale_statistics]
    return [Step("analyze", table.schema, table.name, "its statistics are stale") for table in stale]


# ---- jobs --------------------------------------------------------------------------------------


async def _jobs(engine: Engine, server: ServerIdentity, steps: Sequence[Step]) -> list[Job]:
    """In the order of the steps; what is gone meanwhile is left out."""
    on_tables = tuple({(one.schema, one.name) for one in steps if one.verb in _TABLE_VERBS})
    on_indexes: list[Name] = [(one.schema, one.name) for one in steps if one.verb not in _TABLE_VERBS]
    tables = {
        (table.schema, table.name): table
        for table in ((await engine.tables(draft.of_names(on_tables))).tables if on_tables else ())
    }
    found = await engine.indexes(TableQuery(system=True), on_indexes) if on_indexes else ()
    indexes = {(index.schema, index.name): index for index in found}
    jobs = []
    for step in steps:
        key = (step.schema, step.name)
        if step.verb in _TABLE_VERBS and key in tables:
            jobs.append(_table_job(server, step.verb, tables[key]))
        elif key in indexes and step.verb == "reindex":
            jobs.append(reindex_job(server, indexes[key], concurrently=True))
        elif key in indexes and indexes[key].state == "invalid" and not indexes[key].partitioned:
            jobs.append(drop_job(server, indexes[key]))
    return [msgspec.structs.replace(job, arg="step") for job in jobs]


_TABLE_VERBS = ("vacuum freeze", "vacuum", "optimize", "analyze")


def _table_job(server: ServerIdentity, verb: str, table: Table) -> Job:
    name = (table.schema, table.name)
    if verb.startswith("vacuum"):
        statement = statements.vacuum(server, *name, VacuumOptions(freeze=verb == "vacuum freeze"))
        return draft.table_job(table, verb, statement, SHARE_UPDATE_EXCLUSIVE)
    if verb == "optimize":
        statement = statements.optimize(server, *name, replicate=False)
        return draft.table_job(table, verb, statement, EXCLUSIVE)
    lock = SHARE_UPDATE_EXCLUSIVE if server.flavor == POSTGRES else READ
    return draft.table_job(table, verb, statements.analyze(server, *name), lock)


def _reasons(wanted: Sequence[Step], jobs: Sequence[Job]) -> list[str]:
    """Every step that is done with its reason: the plan is read before it is approved."""
    doing = {job.id for job in jobs}
    steps = [one for one in wanted if one.shown in doing]
    said = [f"{place}. {one.shown}: {one.why}" for place, one in enumerate(steps, start=1) if one.why]
    rest = len(said) - TOLD
    return [*said[:TOLD], *([f"and {counted(rest, 'step')} more"] if rest > 0 else [])]


def _advice(health: IndexHealth) -> list[str]:
    """What is wrong and is not done by itself: it takes a decision."""
    others = [one for one in health.findings if one.finding not in _DONE_HERE and one.severity >= 1]
    said = [
        f"not part of this: {one.finding}: {one.key.partition('/')[2].rstrip('/')}: {one.remedy}"
        for one in others[:ADVICE]
    ]
    rest = len(others) - len(said)
    return [*said, *([f"and {counted(rest, 'finding')} more in `dbdeck show indexes`"] if rest > 0 else [])]
