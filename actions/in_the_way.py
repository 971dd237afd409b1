"""Who holds a statement on a table up, and whom it would keep waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from actions.jobs import Job
from actions.words import counted, who
from console.model.sessions import Protection, Session, State
from console.model.table_locks import TableLock
from console.present.units import age

LISTED = 5
SHARE_UPDATE_EXCLUSIVE = "ShareUpdateExclusiveLock"
ACCESS_EXCLUSIVE = "AccessExclusiveLock"
SHARE = "ShareLock"
# PostgreSQL manual 13.3.1, table 13.2: whom the modes that maintenance takes conflict with.
_ROW = frozenset({"RowExclusiveLock"})
_STRONG = frozenset(
    {"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
)
_POSTGRES: Mapping[str, frozenset[str]] = {
    SHARE_UPDATE_EXCLUSIVE: _STRONG,
    SHARE: (_STRONG - {"ShareLock"}) | _ROW,
    ACCESS_EXCLUSIVE: _STRONG | _ROW | {"AccessShareLock", "RowShareLock"},
}
# MySQL and MariaDB, metadata locks (mdl.cc): what an online rebuild has to wait for at its two ends, and
# what a statement that only reads the table has to.
EXCLUSIVE = "EXCLUSIVE"
READ = "SHARED_READ"
_SHARED = frozenset(
    {"SHARED_READ", "SHARED_WRITE", "SHARED_WRITE_LOW_PRIO", "SHARED_READ_ONLY", "SHARED_UPGRADABLE",
     "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "SHARED_HIGH_PRIO", "SHARED", "EXCLUSIVE"}
)  # fmt: skip
_MYSQL: Mapping[str, frozenset[str]] = {
    EXCLUSIVE: _SHARED,
    READ: frozenset({"SHARED_NO_READ_WRITE", "EXCLUSIVE"}),
}


def holding_up(locks: Iterable[TableLock], mode: str) -> list[TableLock]:
    """Locks that a request for `mode` has to wait for: granted ones, and those ahead in the queue."""
    conflicts = _POSTGRES.get(mode) or _MYSQL.get(mode, frozenset())
    return [one for one in locks if one.mode in conflicts]


def names_of(locks: Iterable[TableLock], job: Job) -> str:
    """Who is in the way of the job, on one line."""
    found = _by_session(holding_up(locks, job.lock))
    return "; ".join(_held(one) for one in found[:LISTED])


def forecast(locks: Sequence[TableLock], jobs: Sequence[Job]) -> tuple[str, ...]:
    """Who holds the jobs up now, and how many sessions an exclusive lock would keep waiting."""
    said: list[str] = []
    by_table: dict[str, list[TableLock]] = {}
    for lock in locks:
        by_table.setdefault(lock.table, []).append(lock)
    for job in jobs:
        here = by_table.get(job.on, [])
        said += [
            f"held up now: {job.subject}: {_held(one)}" for one in _by_session(holding_up(here, job.lock))
        ]
        if job.exclusive:
            said.append(_blocks(job, here))
    shown = said[: 2 * LISTED]
    return (
        (*shown, f"and {len(said) - len(shown)} more like these") if len(said) > len(shown) else tuple(shown)
    )


def _blocks(job: Job, locks: Sequence[TableLock]) -> str:
    users = len({lock.session.id for lock in locks})
    now = (
        f"{counted(users, 'session')} {'uses' if users == 1 else 'use'} it now"
        if users
        else "nobody uses it now"
    )
    return f"{job.subject}: every reader and writer waits while it runs ({now})"


def refusals(locks: Sequence[TableLock], jobs: Sequence[Job]) -> tuple[str, ...]:
    """A vacuum that keeps the server from stopping is not waited for, and never ended by accident."""
    found = []
    for job in jobs:
        mine = holding_up([lock for lock in locks if lock.table == job.on], job.lock)
        found += [
            f"{job.subject}: an autovacuum against wraparound works on it (session {one.session.id}); "
            "it must not be ended, and does not give way"
            for one in mine
            if one.session.protection is Protection.WRAPAROUND
        ]
    return tuple(dict.fromkeys(found))


def warnings(locks: Sequence[TableLock], jobs: Sequence[Job]) -> tuple[str, ...]:
    """An ordinary autovacuum gives way to whoever waits for over deadlock_timeout: its work is lost."""
    found = []
    for job in jobs:
        mine = holding_up([lock for lock in locks if lock.table == job.on], job.lock)
        found += [
            f"{job.subject}: autovacuum (session {one.session.id}) works on it and would be cancelled by a "
            "wait of over deadlock_timeout (1 s unless set otherwise)"
            for one in mine
            if one.session.kind == "autovacuum worker" and one.session.protection is not Protection.WRAPAROUND
        ]
    return tuple(dict.fromkeys(found))


def _by_session(locks: Iterable[TableLock]) -> list[TableLock]:
    """One a session, the oldest transaction first."""
    found: dict[int, TableLock] = {}
    for lock in locks:
        found.setdefault(lock.session.id, lock)
    return sorted(found.values(), key=lambda one: -(one.session.transaction_seconds or 0.0))


def _held(lock: TableLock) -> str:
    session = lock.session
    how = lock.mode if lock.granted else f"{lock.mode}, queued"
    return f"{who(session)} {_doing(session)} ({how})"


def _doing(session: Session) -> str:
    if session.state is State.IDLE_IN_TRANSACTION:
        return f"idle in transaction for {age(session.state_seconds)}"
    return f"{session.state} for {age(session.transaction_seconds)}"
