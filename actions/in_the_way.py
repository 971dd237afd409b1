"""Who holds a statement on a table up, and whom it would keep waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from actions.jobs import Job
from actions.words import counted, who
from console.model.sessions import Protection, Session, State
from console.model.table_locks import TableLock
from console.present.units import age

LISTED = 5
SHARE_UPDATE_EXCLUSIVE = "ShareUpdateExclusiveLock"
ACCESS_EXCLUSIVE = "AccessExclusiveLock"
SHARE = "ShareLock"
ACCESS_SHARE = "AccessShareLock"
# PostgreSQL manual 13.3.1, table 13.2: whom the modes that maintenance takes conflict with.
_ROW = frozenset({"RowExclusiveLock"})
_STRONG = frozenset(
    {"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
)
_POSTGRES: Mapping[str, frozenset[str]] = {
    SHARE_UPDATE_EXCLUSIVE: _STRONG,
    SHARE: (_STRONG - {"ShareLock"}) | _ROW,
    ACCESS_SHARE: frozenset({"AccessExclusiveLock"}),
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
# Locks on everything, as `table_locks` has them, tried on MySQL 9.7 and MariaDB 10.11: FLUSH TABLES WITH READ
# LOCK stops a rebuild, on MariaDB an ANALYZE too, and no CHECK; LOCK INSTANCE FOR BACKUP stops all three.
_FLUSHED = frozenset({"BACKUP BACKUP_FTWRL1", "BACKUP BACKUP_FTWRL2"})
_OF_ALL = _FLUSHED | {"GLOBAL SHARED", "BACKUP LOCK SHARED"}
_MYSQL: Mapping[str, frozenset[str]] = {
    EXCLUSIVE: _SHARED | _OF_ALL,
    READ: frozenset({"SHARED_NO_READ_WRITE", "EXCLUSIVE", "BACKUP LOCK SHARED"}) | _FLUSHED,
}


def holding_up(locks: Iterable[TableLock], mode: str) -> list[TableLock]:
    """Locks that a request for `mode` has to wait for: granted ones, and those ahead in the queue."""
    conflicts = _POSTGRES.get(mode) or _MYSQL.get(mode, frozenset())
    return [one for one in locks if one.mode in conflicts]


def in_its_way(locks: Iterable[TableLock], job: Job) -> list[TableLock]:
    """Those that the job has to wait for: a CHECK goes on beside FLUSH TABLES WITH READ LOCK, and only a
    VACUUM takes the TOAST table, too.
    """
    found = holding_up(locks, job.lock)
    found = [one for one in found if not one.toast or job.verb.startswith("vacuum")]
    return [one for one in found if job.verb != "check" or one.mode not in _FLUSHED]


def names_of(locks: Iterable[TableLock], job: Job) -> str:
    """Who is in the way of the job, on one line."""
    found = _by_session(in_its_way(locks, job))
    return "; ".join(held(one) for one in found[:LISTED])


def forecast(locks: Sequence[TableLock], jobs: Sequence[Job]) -> tuple[str, ...]:
    """Who holds the jobs up now, and how many sessions an exclusive lock would keep waiting."""
    said: list[str] = []
    for job, here in _beside(locks, jobs):
        holders = _by_session(in_its_way(here, job))
        said += [f"held up now: {job.subject}: {held(one)}" for one in holders]
        if job.exclusive:
            said.append(f"{job.subject}: every reader and writer waits while it runs ({_users(here)})")
    shown, rest = said[: 2 * LISTED], said[2 * LISTED :]
    return (*shown, *([f"and {len(rest)} more like these"] if rest else []))


def _beside(locks: Iterable[TableLock], jobs: Iterable[Job]) -> Iterator[tuple[Job, Sequence[TableLock]]]:
    """Each job with the locks on its table."""
    by_table: dict[str, list[TableLock]] = {}
    for lock in locks:
        by_table.setdefault(lock.table, []).append(lock)
    for job in jobs:
        yield job, by_table.get(job.on, [])


def _users(locks: Sequence[TableLock]) -> str:
    users = len({lock.session.id for lock in locks})
    return f"{counted(users, 'session')} on it now" if users else "nobody uses it now"


def spared(locks: Iterable[TableLock], *, toast: bool) -> frozenset[str]:
    """The tables on which a vacuum works that keeps the server from stopping: maintenance waits for it.
    `toast`: one on their TOAST table counts.
    """
    held = [one for one in holding_up(locks, SHARE_UPDATE_EXCLUSIVE) if toast or not one.toast]
    return frozenset(one.table for one in held if one.session.protection is Protection.WRAPAROUND)


def refusals(locks: Sequence[TableLock], jobs: Sequence[Job]) -> tuple[str, ...]:
    """A vacuum that keeps the server from stopping is not waited for, and never ended by accident."""
    return _about(
        locks,
        jobs,
        Protection.WRAPAROUND,
        "an autovacuum against wraparound (session {}) works on it; it must not be ended",
    )


def warnings(locks: Sequence[TableLock], jobs: Sequence[Job]) -> tuple[str, ...]:
    """An ordinary autovacuum gives way to whoever waits for over deadlock_timeout: its work is lost."""
    return _about(
        locks,
        jobs,
        Protection.AUTOVACUUM,
        "autovacuum (session {}) works on it, and would be cancelled by a wait of over deadlock_timeout "
        "(1 s unless set otherwise)",
    )


def _about(locks: Sequence[TableLock], jobs: Sequence[Job], kind: Protection, words: str) -> tuple[str, ...]:
    found = [
        f"{job.subject}: {words.format(one.session.id)}"
        for job, here in _beside(locks, jobs)
        for one in in_its_way(here, job)
        if one.session.protection is kind
    ]
    return tuple(dict.fromkeys(found))


def _by_session(locks: Iterable[TableLock]) -> list[TableLock]:
    """One a session: who holds everything up, then the oldest transaction."""
    found: dict[int, TableLock] = {}
    for lock in locks:
        found.setdefault(lock.session.id, lock)
    return sorted(found.values(), key=_first)


def _first(lock: TableLock) -> tuple[bool, float]:
    return lock.mode not in _OF_ALL, -(lock.session.transaction_seconds or 0.0)


def held(lock: TableLock) -> str:
    """Who it is, what it does, and the lock."""
    session = lock.session
    how = f"{lock.mode} on {lock.part}" if lock.part else lock.mode
    how = how if lock.granted else f"{how}, queued"
    return f"{who(session)} {_doing(session)} ({how})"


def _doing(session: Session) -> str:
    if session.state is State.IDLE_IN_TRANSACTION:
        return f"idle in transaction for {age(session.state_seconds)}"
    since = session.transaction_seconds
    return f"{session.state} for {age(session.state_seconds if since is None else since)}"
