"""What an index built beside others waits for: it stops nobody, and gives up when `wait` is over.

CREATE INDEX CONCURRENTLY waits twice for whoever wrote to the table and has not ended, then for every older
snapshot of the database; REINDEX and DROP INDEX CONCURRENTLY also for whoever read the table (indexcmds.c
and index.c: WaitForLockers, WaitForOlderSnapshots).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from actions.in_the_way import ACCESS_EXCLUSIVE, SHARE, held, holding_up, in_its_way
from actions.jobs import Job
from actions.table_statements import POSTGRES
from actions.words import who
from console.engine.port import Engine
from console.model.sessions import Session, State
from console.model.table_locks import TableLock
from console.model.target import ServerIdentity
from console.model.transactions import OpenTransaction
from console.present.units import age

LISTED = 5


async def forecast(engine: Engine, server: ServerIdentity, jobs: Sequence[Job]) -> tuple[str, ...]:
    """Who would be waited for now."""
    patient = [job for job in jobs if job.patient]
    if server.flavor != POSTGRES or not patient:
        return ()
    tables = list(dict.fromkeys((job.schema, job.table or job.name) for job in patient))
    locks = await engine.table_locks(tables)
    users = [lock for job in patient for lock in users_of(locks, job)]
    found = _told(users, await _older(engine, server.database) if _snapshots(patient) else ())
    return tuple(f"it will wait for {one}" for one in found[:LISTED])


async def waited_for(engine: Engine, job: Job, mine: Collection[int]) -> str:
    """Who is in the way of a job that gave up; empty when nobody is seen. `mine` are our own sessions."""
    locks = await engine.table_locks([(job.schema, job.table or job.name)])
    inways = [*in_its_way(locks, job), *users_of(locks, job)]
    older = await _older(engine, (await engine.identity()).database) if _snapshots([job]) else ()
    found = _told([one for one in inways if one.session.id not in mine],
                  [one for one in older if one.session.id not in mine])  # fmt: skip
    return "; ".join(found[:LISTED])


def users_of(locks: Iterable[TableLock], job: Job) -> list[TableLock]:
    """Who used the job's table in a transaction that is still open, and is waited for until it ends."""
    mode = SHARE if job.verb == "create index" else ACCESS_EXCLUSIVE
    return [one for one in holding_up(locks, mode) if one.granted and not one.part and one.table == job.on]


def _snapshots(jobs: Iterable[Job]) -> bool:
    return any(not job.verb.startswith("drop") for job in jobs)


async def _older(engine: Engine, database: str) -> list[OpenTransaction]:
    """Running statements and repeatable reads of the database, not who is merely idle after one."""
    return [
        one for one in await engine.transactions() if one.session.database in (database, None) and _keeps(one)
    ]


def _keeps(one: OpenTransaction) -> bool:
    session = one.session
    keeps = session.state is State.ACTIVE or (one.isolation or "").startswith(("repeatable", "serializable"))
    lasting = (session.transaction_seconds or 0.0) > 1.0 and session.protection is None
    return lasting and (keeps or one.isolation is None)


def _told(locks: Iterable[TableLock], older: Iterable[OpenTransaction]) -> list[str]:
    """A line a session, that with the oldest transaction first."""
    said = {one.session.id: (one.session, held(one)) for one in locks}
    for one in older:
        since = f"{who(one.session)} {one.session.state} since {age(one.session.transaction_seconds)}"
        said.setdefault(one.session.id, (one.session, since))
    return [line for _, line in sorted(said.values(), key=_oldest)]


def _oldest(told: tuple[Session, str]) -> float:
    return -(told[0].transaction_seconds or 0.0)
