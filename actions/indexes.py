"""index.reindex, index.create and index.drop_invalid: beside readers and writers where the server can."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actions import clusters, draft, patience, proof
from actions.fact_words import BESIDE, BUILDING, MAINTAIN
from actions.in_the_way import ACCESS_EXCLUSIVE, SHARE, SHARE_UPDATE_EXCLUSIVE
from actions.index_checks import check_columns, check_name, check_options, check_table
from actions.index_jobs import create_job, drop_job, made_name, reindex_job
from actions.index_selection import IndexArgs, LeftoverArgs, choose, leftovers, named, one_table, several
from actions.index_words import around, beside, copies, definitions, reindex_refusals, reindex_warnings
from actions.jobs import jobs_of
from actions.leftovers import made_by, perform_and_clear
from actions.limits import WorkArgs
from actions.names import show_name
from actions.permitted import permitted
from actions.table_statements import POSTGRES, IndexPlan, qualified
from actions.tables import Maintenance
from actions.work import perform
from console.dispatch.action import Plan, Result, Risk
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need
from console.engine.queries import quote_ident
from console.errors import UsageError
from console.model.indexes import Index
from console.model.tables import Table
from console.model.target import ServerIdentity


class Reindex(Maintenance):
    """A new index is built beside the old one and takes its place; what fails leaves nothing of ours."""

    name = "index.reindex"
    summary = "rebuild indexes: concurrently where possible; an interrupted one leaves nothing behind"
    risk = Risk.LOW
    flavors: tuple[str, ...] = ("postgresql",)
    facts = Facts(
        on={
            "postgresql": On(
                locks=f"{SHARE_UPDATE_EXCLUSIVE} on the table: {BESIDE}; it waits itself for older "
                "transactions. With `concurrently=false`, and where an index cannot be rebuilt beside "
                f"readers, {ACCESS_EXCLUSIVE} on the index and {SHARE} on its table: writers wait, and so "
                "do readers of that index",
                rights=f"{MAINTAIN}; the owner's role for what `leftover` drops",
            )
        },
        undo="nothing; the index is the same, only smaller",
        risk="medium under a lock that keeps writers waiting",
    )
    Args = IndexArgs

    async def plan(self, engine: Engine, args: IndexArgs) -> Plan:
        on = await draft.ground(self, engine)
        server = on.server
        chosen, not_ours = await permitted(on, args, await choose(engine, args))
        found, left_out = await draft.free(on, args, chosen)
        left = await named(engine, several(args.leftover))
        jobs = [drop_job(server, index, arg="leftover") for index in left if index.state == "invalid"]
        jobs += [reindex_job(server, index, concurrently=args.concurrently) for index in found]
        exclusive = [job for job in jobs if job.exclusive]
        made = await draft.plan(
            on,
            args,
            jobs,
            risk=Risk.MEDIUM if exclusive else Risk.LOW,
            undo="nothing undoes it; the index is the same, only smaller",
        )
        made = draft.with_subject(made, before=[index.number for index in await around(engine, found)])
        return draft.more(
            made,
            forecast=(
                *await beside(engine, found, args),
                *await copies(engine, found),
                *await patience.forecast(engine, server, jobs),
            ),
            warnings=(*left_out, *not_ours, *reindex_warnings(found, args)),
            refusals=reindex_refusals(server, found, jobs),
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await perform_and_clear(plan, operator)

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:
        """What is not rebuilt yet, after what the broken run left."""
        jobs = jobs_of(plan)
        before = set(plan.subject.get("before", ()))
        tables = tuple(dict.fromkeys((job.schema, job.table) for job in jobs))
        found = await engine.indexes(draft.of_names(tables), ())
        left = made_by(jobs, [one for one in found if one.number not in before])
        rest = await super().rest(plan, engine)
        if not left:
            return rest
        rest = rest or draft.narrowed(plan, [])
        return {**rest, "leftover": [show_name(one.schema, one.name) for one in left]}


class CreateArgs(WorkArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`column` repeated for several, in their order; `include` columns are only carried (PostgreSQL).

    `name` is made from table and columns when not given. `concurrently=false` locks writers out.
    """

    table: str
    column: str | tuple[str, ...]
    include: str | tuple[str, ...] = ()
    name: str = ""
    unique: bool = False
    method: str = ""
    concurrently: bool = True


class CreateIndex(Maintenance):
    name = "index.create"
    summary = "create an index beside readers and writers; a failed build leaves nothing behind"
    risk = Risk.LOW
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    facts = Facts(
        on={
            "postgresql": On(
                locks=f"{SHARE_UPDATE_EXCLUSIVE} on the table: reads and writes go on; it waits itself for "
                f"older transactions. With `concurrently=false` {SHARE}: reads go on, writes wait",
                rights="the role of the table's owner, and `CREATE` on its schema",
            ),
            "mysql": On(locks=BUILDING, rights="`INDEX` on the table"),
            "mariadb": On(locks=BUILDING, rights="`INDEX` on the table"),
        },
        undo="drop it: the plan has the statement",
        risk="medium with `concurrently=false`, high on a node of Galera, whose whole cluster waits",
    )
    Args = CreateArgs

    async def plan(self, engine: Engine, args: CreateArgs) -> Plan:
        on = await draft.ground(self, engine)
        server = on.server
        table = await one_table(engine, args.table)
        what = _wanted(args)
        name = args.name or made_name(table.name, what.columns)
        there, unread = await _check(engine, server, table, name, what)
        job = create_job(server, table, name, what)
        frozen = msgspec.structs.replace(args, name=name, table=show_name(table.schema, table.name))
        node = await clusters.galera_of(engine, server)
        made = await draft.plan(
            on,
            args,
            [job],
            risk=Risk.HIGH if clusters.stops_all(node) else Risk.MEDIUM if job.exclusive else Risk.LOW,
            again=msgspec.to_builtins(frozen),
            undo=_undo(server, table, name),
        )
        made = draft.with_subject(made, before=[index.number for index in there])
        alike = [one.key for one in there if one.definition and _leads(one, what.columns)]
        return draft.more(
            made,
            forecast=await patience.forecast(engine, server, [job]),
            warnings=[
                *clusters.of_ddl(node),
                *(f"{one} begins with the same columns already" for one in alike),
                *unread,
            ],
            refusals=reindex_refusals(server, (), [job]),
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await perform_and_clear(plan, operator)

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:
        return plan.args if await proof.left(plan, engine) else {}

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        found = draft.needs(plan, ("INDEX",))
        return tuple(msgspec.structs.replace(need, own=True, create=True) for need in found)


class DropInvalid(Maintenance):
    """Only what no query can use: an invalid index that nobody is building."""

    name = "index.drop_invalid"
    summary = "drop indexes that a failed build left invalid, concurrently"
    risk = Risk.MEDIUM
    flavors: tuple[str, ...] = ("postgresql",)
    facts = Facts(
        on={
            "postgresql": On(
                locks=f"{SHARE_UPDATE_EXCLUSIVE} on the table and the index: reads and writes go on; it "
                "waits itself for older transactions",
                rights="the role of the index's owner",
            )
        },
        undo="build it again: `index.create`, or its DDL",
    )
    Args = LeftoverArgs

    async def plan(self, engine: Engine, args: LeftoverArgs) -> Plan:
        on = await draft.ground(self, engine)
        server = on.server
        found = await leftovers(engine, args)
        jobs = [drop_job(server, index) for index in found]
        made = await draft.plan(
            on, args, jobs, risk=self.risk, undo="build it again: index.create or its DDL"
        )
        return draft.more(
            made,
            forecast=(*definitions(found), *await patience.forecast(engine, server, jobs)),
            refusals=[
                f"{show_name(one.schema, one.name)} is being built by session {one.builder}"
                if one.builder is not None
                else f"{show_name(one.schema, one.name)} is {one.state}, and only invalid ones are dropped"
                for one in found
                if one.state != "invalid"
            ]
            + [_kept(show_name(one.schema, one.name)) for one in found if one.attached],
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await perform(plan, operator)

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        return tuple(msgspec.structs.replace(need, own=True) for need in draft.needs(plan, ()))


def _kept(shown: str) -> str:
    return (
        f"{shown} belongs to the index of a partitioned table, which keeps it: "
        f"index.reindex index={shown} makes it valid"
    )


def _wanted(args: CreateArgs) -> IndexPlan:
    columns = (args.column,) if isinstance(args.column, str) else args.column
    include = (args.include,) if isinstance(args.include, str) else args.include
    if not all(columns) or not columns:
        raise UsageError("an index has at least one column; nothing was executed", "give column=…")
    return IndexPlan(
        columns=columns,
        include=tuple(one for one in include if one),
        unique=args.unique,
        method=args.method,
        concurrently=args.concurrently,
    )


def _undo(server: ServerIdentity, table: Table, name: str) -> str:
    on = qualified(server, table.schema, table.name)
    if server.flavor == POSTGRES:
        return f"DROP INDEX CONCURRENTLY {qualified(server, table.schema, name)};"
    return f"ALTER TABLE {on} DROP INDEX {quote_ident(name, server.flavor)};"


def _fits(server: ServerIdentity, name: str) -> None:
    """A longer name is cut by PostgreSQL, and would not be found again. NAMEDATALEN; MySQL manual 11.2.1."""
    postgres = server.flavor == POSTGRES
    if len(name.encode()) > 63 if postgres else len(name) > 64:
        most = "63 bytes" if postgres else "64 characters"
        raise UsageError(
            f"the index name {name!r} is longer than {most}; nothing was executed", "choose a shorter name=…"
        )


async def _check(
    engine: Engine, server: ServerIdentity, table: Table, name: str, what: IndexPlan
) -> tuple[tuple[Index, ...], list[str]]:
    """The indexes there are, and a warning where the columns could not be looked at.

    Raises UsageError for what the server would refuse.
    """
    check_table(table)
    check_options(server, what)
    _fits(server, name)
    site = await engine.index_site(table.schema, table.name)
    check_columns(server, table, what, site)
    there = await engine.indexes(draft.exactly(table), ())
    taken = await engine.relations(table.schema, name) if server.flavor == POSTGRES else ()
    check_name(server, table, name, there, taken)
    unread = (
        "its columns could not be looked at, as somebody locks it: the server decides whether it takes them"
    )
    return there, [] if site.columns else [unread]


def _leads(index: Index, columns: Sequence[str]) -> bool:
    return f"({', '.join(columns)}" in index.definition.replace('"', "")
