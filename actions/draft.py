"""What the plans of all maintenance have in common: jobs, limits, who is in the way, what is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from actions import in_the_way, limits
from actions import jobs as job_list
from actions.jobs import Job, jobs_of
from actions.limits import WorkArgs, check_guards, limits_of
from actions.names import Name, show_name
from actions.table_statements import POSTGRES
from actions.words import counted, some
from console import __version__
from console.dispatch.action import Action, Look, Plan, Risk
from console.engine.port import Engine, Need, Statement
from console.errors import Refused, UsageError
from console.model.indexes import Index
from console.model.tables import Table, TableOrder, TableQuery
from console.model.target import ServerIdentity
from console.present.units import size

LISTED = 3
Named = TypeVar("Named", Table, Index, Job)
_LOCKS = {
    in_the_way.SHARE_UPDATE_EXCLUSIVE: "reads and writes go on; DDL and other maintenance of it wait",
    in_the_way.SHARE: "reads go on; writes wait",
    in_the_way.ACCESS_EXCLUSIVE: "everybody waits, readers too",
    in_the_way.EXCLUSIVE: "readers and writers wait at its beginning and its end",
    in_the_way.READ: "reads and writes go on",
    in_the_way.ACCESS_SHARE: "reads and writes go on; what would change the table waits",
}


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What an action is planned on."""

    action: Any
    engine: Any
    server: ServerIdentity


async def ground(action: Action[Any], engine: Engine, *, reads: bool = False) -> Ground:
    """Raises UsageError where the engine knows no such thing; Refused where it may not be written, unless the
    action only `reads`.
    """
    server = await engine.identity()
    if server.flavor not in action.flavors:
        raise UsageError(
            f"{action.name} is for {', '.join(action.flavors)}, and this is {server.label}; "
            "nothing was executed",
            "`dbdeck actions` says what each is for",
        )
    if server.primary is False and not reads:
        raise Refused(
            f"{action.name}: {server.label} is a standby or read-only; nothing was executed",
            "run it on its primary, whose changes come here",
        )
    return Ground(action=action, engine=engine, server=server)


def table_job(table: Table, verb: str, statement: Statement, lock: str, *, exclusive: bool = False) -> Job:
    return Job(
        subject=show_name(table.schema, table.name),
        kind="table",
        schema=table.schema,
        name=table.name,
        number=table.number,
        verb=verb,
        statement=statement,
        lock=lock,
        exclusive=exclusive,
        bytes=table.total_bytes if exclusive or verb == "optimize" else table.bytes,
        before=table_state(table),
    )


def table_state(table: Table) -> dict[str, Any]:
    """What tells a table that was worked on from one that was not."""
    state = {
        "vacuums": table.vacuums,
        "analyzes": table.analyzes,
        "filenode": table.filenode,
        "vacuumed_at": table.vacuumed_at,
        "analyzed_at": table.analyzed_at,
        "created_at": table.created_at,
    }
    found: dict[str, Any] = msgspec.to_builtins(
        {key: value for key, value in state.items() if value is not None}
    )
    return found


async def plan(
    on: Ground,
    args: WorkArgs,
    jobs: Sequence[Job],
    *,
    risk: Risk = Risk.LOW,
    again: dict[str, Any] | None = None,
    **parts: Any,
) -> Plan:
    """`args` is frozen to the objects that were found, so that a later look finds the same ones; to
    `again` where given.
    """
    bounds = limits_of(args)
    unseen = await check_guards(on.engine, bounds)
    patient = [job for job in jobs if job.patient]
    locks = await on.engine.table_locks(tables_of(jobs))
    return Plan(
        action=on.action.name,
        target=on.engine.target.name,
        risk=risk,
        args=frozen_args(args, jobs) if again is None else again,
        subject={
            "title": _title(on.action.name, jobs),
            "jobs": job_list.frozen(jobs),
            "limits": limits.frozen(bounds),
        },
        statements=tuple(job.statement.shown for job in jobs),
        forecast=(
            *_what(jobs),
            *in_the_way.forecast(locks, jobs),
            *limits.words(bounds, patient=len(patient), others=len(jobs) - len(patient)),
        ),
        warnings=(*in_the_way.warnings(locks, jobs), *unseen),
        refusals=in_the_way.refusals(locks, jobs),
        observed=job_list.observed(jobs),
        pieces=job_list.pieces(jobs),
        likeness="",
        server=on.server,
        made_at=datetime.now(UTC),
        version=__version__,
        **parts,
    )


async def free(
    on: Ground, args: WorkArgs, objects: Sequence[Named]
) -> tuple[tuple[Named, ...], tuple[str, ...]]:
    """Without those on whose table an autovacuum against wraparound works, and a warning that names them.

    Of objects that were chosen and not named, one that has to be left alone is no reason not to do the
    others. All of them where no other is left: then the plan is refused.
    """
    if is_named(args) or not objects or on.server.flavor != POSTGRES:
        return tuple(objects), ()
    locks = await on.engine.table_locks(tables_of(objects))
    by = {toast: in_the_way.spared(locks, toast=toast) for toast in (False, True)}
    fates = [(one, ".".join(_table_of(one)) in by[_takes_toast(on, one)]) for one in objects]
    left = tuple(one for one, spared in fates if not spared)
    if not left or len(left) == len(objects):
        return tuple(objects), ()
    said = some([show_name(one.schema, one.name) for one, spared in fates if spared])
    return left, (f"left out, an autovacuum against wraparound works there, and must not be ended: {said}",)


def is_named(args: WorkArgs) -> bool:
    """The objects were named one by one, and not chosen by what they are."""
    return any(getattr(args, way, None) for way in ("table", "index", "leftover", "step"))


def _takes_toast(on: Ground, one: Table | Index | Job) -> bool:
    """Only a vacuum takes the TOAST table of its table, too."""
    return one.verb.startswith("vacuum") if isinstance(one, Job) else on.action.name == "table.vacuum"


def tables_of(objects: Sequence[Table | Index | Job]) -> tuple[Name, ...]:
    return tuple(dict.fromkeys(_table_of(one) for one in objects))


def _table_of(one: Table | Index | Job) -> Name:
    return one.schema, one.name if isinstance(one, Table) else one.table or one.name


def more(
    made: Plan,
    *,
    forecast: Sequence[str] = (),
    warnings: Sequence[str] = (),
    refusals: Sequence[str] = (),
) -> Plan:
    """The plan with what only its action knows."""
    return msgspec.structs.replace(
        made,
        forecast=(*made.forecast, *forecast),
        warnings=(*made.warnings, *warnings),
        refusals=(*made.refusals, *refusals),
    )


def with_subject(made: Plan, **more: Any) -> Plan:
    return msgspec.structs.replace(made, subject={**made.subject, **more})


def finished_by(made: Plan, statement: Statement | None) -> Plan:
    """The plan with a statement that is sent once, after all of its jobs."""
    if statement is None:
        return made
    made = with_subject(made, finish=msgspec.to_builtins(statement))
    return msgspec.structs.replace(made, statements=(*made.statements, statement.shown))


def settled_by(made: Plan, statement: Statement | None) -> Plan:
    """The plan with a statement that is sent last, and returns when the disk has what came before it."""
    if statement is None:
        return made
    made = with_subject(made, settle=msgspec.to_builtins(statement))
    made = msgspec.structs.replace(made, statements=(*made.statements, statement.shown))
    return more(made, forecast=("commits do not wait for the disk one by one; all of them do at the end",))


def exactly(table: Table) -> TableQuery:
    return of_names(((table.schema, table.name),))


def of_names(names: tuple[tuple[str, str], ...]) -> TableQuery:
    return TableQuery(names=names, limit=max(1, len(names)), order=TableOrder.NAME, system=True)


async def marks(engine: Engine, names: tuple[tuple[str, str], ...]) -> tuple[Table, ...]:
    """Those of the tables that are there, with what tells whether they were looked after."""
    if not names:
        return ()
    query = TableQuery(
        names=names, order=TableOrder.NAME, limit=len(names) * 2, system=True, brief=True, marks=True
    )
    return (await engine.tables(query)).tables


async def look(made: Plan, engine: Engine) -> Look:
    """The preconditions of a plan about tables, as they are now: the same tables, and nobody to be spared."""
    jobs = jobs_of(made)
    found = {(one.schema, one.name): one.number for one in await marks(engine, _names(jobs))}
    locks = await engine.table_locks(_names(jobs))
    observed = {key: found.get(name) for key, name in zip(job_list.observed(jobs), _names(jobs), strict=True)}
    return Look(observed=observed, refusals=in_the_way.refusals(locks, jobs))


def _names(jobs: Sequence[Job]) -> tuple[tuple[str, str], ...]:
    return tuple((job.schema, job.name) for job in jobs)


def frozen_args(args: WorkArgs, jobs: Sequence[Job]) -> dict[str, Any]:
    """The arguments, with the objects by name instead of how they were chosen."""
    found: dict[str, Any] = msgspec.to_builtins(args)
    for way in _NAMING if jobs else ():
        found.pop(way, None)
    named: dict[str, list[str]] = {}
    for job in jobs:
        named.setdefault(job.arg or job.kind, []).append(_naming(job))
    return found | {arg: list(dict.fromkeys(subjects)) for arg, subjects in named.items()}


def narrowed(made: Plan, jobs: Sequence[Job]) -> dict[str, object]:
    """The plan's arguments for these jobs only."""
    args: dict[str, object] = {name: value for name, value in made.args.items() if name not in _NAMING}
    for job in jobs:
        named = args.setdefault(job.arg or job.kind, [])
        if isinstance(named, list):
            named.append(_naming(job))
    return args


def _naming(job: Job) -> str:
    """A step of many kinds of work is named with its verb."""
    return job.id if job.arg == "step" else job.subject


_NAMING = ("table", "index", "leftover", "step", "schema", "pattern", "worst", "all")


def _title(action: str, jobs: Sequence[Job]) -> str:
    verb = action.partition(".")[2]
    if len(jobs) == 1:
        return f"{jobs[0].verb} {jobs[0].subject}"
    return f"{verb} of {counted(len(jobs), 'object')}" if jobs else f"{verb}: nothing to do"


def _what(jobs: Sequence[Job]) -> tuple[str, ...]:
    if not jobs:
        return ("nothing fits: there is nothing to do",)
    known = [job.bytes for job in jobs if job.bytes is not None]
    said = [f"{counted(len(jobs), 'object')}, {size(sum(known)) if known else 'of unknown size'}"]
    locks = dict.fromkeys(job.lock for job in jobs)
    said += [f"lock {lock}: {_LOCKS.get(lock, 'see the manual of the statement')}" for lock in locks]
    return tuple(said)


def lock_of(plan: Plan) -> str:
    """One run on one object at a time; runs on several exclude each other."""
    jobs = jobs_of(plan)
    if len(jobs) == 1:
        return f"{jobs[0].kind}:{jobs[0].schema}.{jobs[0].name}"
    digest = hashlib.blake2b(plan.action.encode(), digest_size=8).hexdigest()
    return f"maintenance:{digest}"


def needs(plan: Plan, privileges: tuple[str, ...]) -> tuple[Need, ...]:
    """MAINTAIN on each table; `privileges` are MySQL's and MariaDB's word for it."""
    return tuple(
        Need(schema=job.schema, name=job.table or job.name, number=job.before.get("table", job.number),
             privileges=privileges if plan.server.flavor != POSTGRES else ())
        for job in jobs_of(plan)
    )  # fmt: skip
