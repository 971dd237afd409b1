"""table.check: look at tables and their indexes for damage, while everybody works; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from actions import draft, limits
from actions import integrity_statements as texts
from actions import jobs as results
from actions.damage import is_damage, is_wrong, not_looked_at
from actions.fact_words import READING
from actions.in_the_way import ACCESS_SHARE, READ
from actions.jobs import End, Job, jobs_of
from actions.ladder import Rung
from actions.names import show_name
from actions.selection import TableArgs, select
from actions.table_statements import POSTGRES, qualified
from actions.unable import able
from actions.words import counted
from actions.work import Work
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need, Row, Statement
from console.engine.queries import quote_ident
from console.errors import ActionFailed, UsageError
from console.model.checking import Checked, CheckSite
from console.model.tables import Table
from console.model.target import ServerIdentity
from console.present.units import clean

KEPT = 200
LISTED = 5
WIDTH = 300
_HEAPS_SINCE = 140000  # verify_heapam; PostgreSQL 14 release notes
_UNIQUE_SINCE = 170000  # bt_index_check's checkunique; PostgreSQL 17 release notes


class Damaged(ActionFailed):
    """It was looked at, and something is damaged."""

    kind = "damaged"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """`object` is named as `index.reindex` and `table=` take it; `what` is the server's word."""

    kind: Literal["table", "index"]
    object: str
    table: str
    what: str


class CheckArgs(TableArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`deep`: also whether every row is in each of its indexes (PostgreSQL), CHECK TABLE … EXTENDED (MySQL,
    MariaDB): it takes several times as long.
    """

    deep: bool = False


class CheckTable:
    """It takes the locks of a reader. What is damaged makes it fail, with each object named."""

    name = "table.check"
    summary = "look for damage in tables and their indexes: one, some, the worst or all; it changes nothing"
    risk = Risk.MEDIUM
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    lasting: Literal[True] = True
    facts = Facts(
        on={
            "postgresql": On(
                locks=f"{ACCESS_SHARE} on each table and index: reads and writes go on, what would change "
                "the table waits",
                rights="the extension `amcheck`, and `EXECUTE` on its functions; before 14 `SELECT` on the "
                "tables",
            ),
            "mysql": On(locks=READING, rights="`SELECT` on the tables"),
            "mariadb": On(locks=READING, rights="`SELECT` on the tables"),
        },
        undo="nothing to undo: it changes nothing",
        risk="low with page checksums (PostgreSQL)",
    )
    Args = CheckArgs

    async def plan(self, engine: Engine, args: CheckArgs) -> Plan:
        on = await draft.ground(self, engine, reads=True)  # damage of a standby's files is its own
        tables, unfit = able(await select(engine, args), "CHECK", args)
        if on.server.flavor == POSTGRES:
            site = await engine.check_site([(table.schema, table.name) for table in tables])
            jobs, warnings = _postgres(on.server, site, deep=args.deep)
        else:
            site = None
            jobs, warnings = [_mysql_job(on.server, table, deep=args.deep) for table in tables], _CAREFUL
        named = [show_name(table.schema, table.name) for table in tables]
        chosen = msgspec.structs.replace(args, table=tuple(named), schema="", pattern="", worst=0, all=False)
        made = await draft.plan(
            on,
            args,
            jobs,
            risk=Risk.LOW if site is not None and site.checksums else Risk.MEDIUM,
            again=msgspec.to_builtins(chosen if named else args),
            undo="nothing to undo: it changes nothing",
        )
        return draft.more(
            made,
            forecast=("all of it is read, from the disk where it is not in memory",),
            warnings=(*warnings, *unfit),
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises Damaged, and what `Work.result` raises where not all of it was looked at."""
        jobs = jobs_of(plan)
        if not jobs:
            return Result(matched=False)
        work = Looking(jobs, limits.planned(plan), operator)
        await work.run()
        operator.evidence.update(results.results(work.done))
        operator.evidence["damaged"] = [msgspec.to_builtins(one) for one in work.damaged[:KEPT]]
        if work.damaged:
            raise Damaged(
                f"{counted(len(work.damaged), 'object')} of {len(jobs)} damaged: {_told(work.damaged)}",
                "no VACUUM, rewrite or restart before a copy is taken: the runbook suspected-corruption",
            )
        work.result()
        return Result(matched=False)  # it changes nothing

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        """By what the run noted: no look at the server tells what another one saw."""
        del engine, patience
        jobs = jobs_of(plan)
        if not jobs:
            return Verdict(state="applied", summary="there was nothing to look at", certain=True)
        words = results.results_of(plan.evidence)
        damaged = plan.evidence.get("damaged")
        if damaged is None:
            summary = "what was seen is not known; nothing was changed, look again"
            return Verdict(state="not_applied", summary=summary, certain=True)
        done = [job.id for job in jobs if job.id in words and words[job.id].end is End.DONE]
        left = [job.subject for job in jobs if job.id not in done]
        lost = [job.subject for job in jobs if job.id in words and words[job.id].end is End.UNKNOWN]
        evidence = _evidence(damaged, len(done), left, lost)
        if damaged:
            said = f"{counted(len(damaged), 'object')} of {len(jobs)} damaged"
            return Verdict(state="not_applied", summary=said, evidence=evidence, certain=True)
        if left:
            gave = f"; no answer came of {', '.join(lost[:LISTED])}" if lost else ""
            said = f"{len(left)} of {len(jobs)} not looked at, the others are sound{gave}"
            return Verdict(state="not_applied", summary=said, evidence=evidence, certain=True)
        said = f"{counted(len(done), 'object')} looked at, none is damaged"
        return Verdict(state="applied", summary=said, evidence=evidence, certain=True)

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        """Of PostgreSQL EXECUTE on amcheck's functions, which shows when it is tried."""
        return () if plan.server.flavor == POSTGRES else draft.needs(plan, ("SELECT",))

    def lock(self, plan: Plan) -> str:
        return draft.lock_of(plan)


class Looking(Work):
    """What is found to be damaged was looked at: it is done, and noted apart."""

    def __init__(self, jobs: Sequence[Job], bounds: limits.Limits, operator: Operator) -> None:
        super().__init__(jobs, bounds, operator)
        self.damaged: list[Damage] = []
        self._watch = operator.watch

    async def _send(self, operator: Operator, job: Job, step: Rung) -> str:
        """Why it could not be looked at; empty where it was."""
        statement = msgspec.structs.replace(job.statement, lock_seconds=step.wait)
        try:
            with self._overseer.running(job, operator):
                rows = await operator.send(statement)
        except ActionFailed as error:
            if not is_damage(error.message):
                raise
            self._note(job, error.message)
            return ""
        if job.before.get("answers") == "rows of faults":
            faults, unfit = [str(row[0]) for row in rows if row and row[0]], ""
        else:
            faults, unfit = told(rows)
        if faults:
            self._note(job, "; ".join(faults))
            return ""
        return unfit

    def _note(self, job: Job, what: str) -> None:
        table = show_name(job.schema, job.table or job.name)
        named = job.before["object"]
        kind: Literal["table", "index"] = "index" if job.kind == "index" else "table"
        found = Damage(kind=kind, object=named, table=table, what=clean(" ".join(what.split()), WIDTH))
        self.damaged.append(found)
        self._watch.tell(f"DAMAGED: {job.subject}: {found.what}")


def told(rows: Sequence[Row]) -> tuple[list[str], str]:
    """What CHECK TABLE answered: (faults, why it did not look). A fault that it came to see is one."""
    unfit = [str(row[3]) for row in rows if not_looked_at(row)]
    faults = [row for row in rows if is_wrong(row) and not not_looked_at(row)]
    if unfit and all(str(row[2]).lower() == "status" for row in faults):
        return [], " ".join("; ".join(unfit).split())
    return [str(row[3]) for row in faults], ""


# ---- jobs --------------------------------------------------------------------------------------


def _postgres(server: ServerIdentity, site: CheckSite, *, deep: bool) -> tuple[list[Job], tuple[str, ...]]:
    """The jobs, and what to know of them. Raises UsageError without the extension."""
    if not site.extension:
        raise UsageError(
            "the extension amcheck is not in this database; nothing was executed",
            "as a superuser: CREATE EXTENSION amcheck; and GRANT EXECUTE on its functions to the operator",
        )
    jobs, unfit = [], []
    for one in site.relations:
        sql = _look(server, quote_ident(site.extension, POSTGRES), one, deep=deep)
        if sql:
            jobs.append(_relation_job(one, sql))
        else:
            unfit.append(f"{_subject(one)} ({one.method})")
    skipped = (f"nothing here looks at {', '.join(unfit[:LISTED])}",) if unfit else ()
    return jobs, (*skipped, *(() if site.checksums else _UNCHECKED))


def _look(server: ServerIdentity, schema: str, one: Checked, *, deep: bool) -> str:
    """The statement that looks at it; empty where there is none."""
    if one.index:
        unique = server.version_num >= _UNIQUE_SINCE
        return (
            texts.live_btree_text(schema, one.number, deep=deep, unique=unique)
            if one.method == "btree"
            else ""
        )
    if one.method != "heap":
        return ""
    if server.version_num >= _HEAPS_SINCE:
        return texts.heap_text(schema, one.number)
    return "" if one.toast else texts.read_text(qualified(server, one.relation_schema, one.name))


def _subject(one: Checked) -> str:
    if one.index:
        return show_name(one.relation_schema, one.name)
    name = show_name(one.schema, one.table)
    return f"TOAST of {name}" if one.toast else name


def _relation_job(one: Checked, sql: str) -> Job:
    subject = _subject(one)
    return Job(
        subject=subject,
        kind="index" if one.index else "table",
        schema=one.schema,
        name=one.name,
        number=one.number,
        table=one.table,
        verb="check",
        statement=Statement(sql=sql, shown=f"{sql} -- {clean(subject)}"),
        lock=ACCESS_SHARE,
        bytes=one.bytes,
        before={"answers": "rows of faults", "object": _named(one)},
    )


def _named(one: Checked) -> str:
    """As `index=` or `table=` take it."""
    return show_name(one.relation_schema, one.name) if one.index else show_name(one.schema, one.table)


def _mysql_job(server: ServerIdentity, table: Table, *, deep: bool) -> Job:
    sql = f"check table {qualified(server, table.schema, table.name)}{' extended' if deep else ''}"
    name = show_name(table.schema, table.name)
    return Job(
        subject=name,
        kind="table",
        schema=table.schema,
        name=table.name,
        number=table.number,
        verb="check",
        statement=Statement(sql=sql, shown=sql),
        lock=READ,
        bytes=table.total_bytes,
        before={"object": name},
    )


# ---- words -------------------------------------------------------------------------------------


def _evidence(
    damaged: Sequence[Mapping[str, Any]], done: int, left: Sequence[str], lost: Sequence[str]
) -> dict[str, Any]:
    """`lost`: the server gave no answer; one that died of what it read is such a one."""
    return {
        "damaged": list(damaged),
        "damaged_tables": sum(one["kind"] == "table" for one in damaged),
        "damaged_indexes": sum(one["kind"] == "index" for one in damaged),
        "checked": done,
        "not_checked": list(left[:KEPT]),
        **({"answer_lost": list(lost[:KEPT])} if lost else {}),
    }


def _told(damaged: Sequence[Damage]) -> str:
    more = f" and {len(damaged) - LISTED} more" if len(damaged) > LISTED else ""
    return "; ".join(f"{one.kind} {one.object}: {one.what}" for one in damaged[:LISTED]) + more


_CAREFUL = (
    "InnoDB ends the whole server where it meets a page that it cannot trust (manual of CHECK TABLE): "
    "have one ready to take over",
)
_UNCHECKED = (
    "page checksums are off: changed values go unseen, and a page of garbage may end the server with all its "
    "sessions when it is read",
)
