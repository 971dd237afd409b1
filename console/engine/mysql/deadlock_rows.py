"""Printed deadlocks -> the model. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime

from console.engine.mysql.deadlock_text import Kind, Printed, Report
from console.engine.mysql.lock_text import PrintedLock, reference, wanted_heaps
from console.model.deadlocks import Deadlock, LockRef, Participant

STATUS = "SHOW ENGINE INNODB STATUS"
LOG = "error log"
UNTIMED = "error log, without its time"

# What a thread does while it waits for a row (thd_proc_info in both servers). A thread line ends in it,
# and a user name may contain spaces: without knowing the one the other cannot be told.
_STATES = (
    "altering table", "checking permissions", "commit", "copy to tmp table", "copying to tmp table",
    "creating sort index", "creating table", "deleting", "deleting from main table",
    "deleting from reference tables", "end", "end of update loop", "executing", "filling schema table",
    "init", "opening tables", "optimizing", "preparing", "query end",
    "reading from net", "rename", "searching rows for update", "sending data", "sorting for group",
    "sorting for order", "sorting result", "starting", "statistics", "storing row into queue",
    "system lock", "update",
    "update_rows_log_event::find_row(-1)", "delete_rows_log_event::find_row(-1)",
    "write_rows_log_event::write_row(-1)", "applying batch of row changes (update)",
    "applying batch of row changes (write)", "applying batch of row changes (delete)", "updating",
    "updating main table", "updating reference tables", "waiting for handler commit",
)  # fmt: skip
_BY_LENGTH = sorted(_STATES, key=len, reverse=True)
_ADDRESS = re.compile(r"[0-9a-fA-F]*[.:][0-9a-fA-F.:%\w]*$")


def deadlock(report: Report, at: datetime, source: str) -> Deadlock:
    """In the order of the cycle, as InnoDB prints it: each one waits for the next."""
    wanted = wanted_heaps(lock for one in report.transactions for _, lock in one.locks)
    held = _held(report.transactions)
    participants = tuple(
        _participant(one, _wants(one), held[place], wanted, victim=place == report.victim)
        for place, one in enumerate(report.transactions)
    )
    return Deadlock(at=at, source=source, ident=ident(report), participants=participants)


def ident(report: Report) -> str:
    """By transactions and statements. A deadlock ends its victim's statement, which has a number of its
    own: the same ones never meet in another deadlock of the same run.
    """
    parts = sorted((one.trx, one.thread, one.query) for one in report.transactions)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def _participant(
    one: Printed, wants: PrintedLock | None, holds: list[PrintedLock], wanted: set[tuple[str, str, int]],
    *, victim: bool,
) -> Participant:  # fmt: skip
    user, client = who(one.who)
    held: dict[LockRef, None] = {reference(lock, wanted): None for lock in holds}
    return Participant(
        session=one.thread,
        user=user,
        client=client,
        statement="\n".join(one.statement).strip() or None,
        wants=reference(wants) if wants else None,
        holds=tuple(held),
        victim=victim,
    )


def _wants(one: Printed) -> PrintedLock | None:
    """MySQL and MariaDB say it by a heading; without headings it comes last."""
    for kind, lock in one.locks:
        if kind is Kind.WAITS:
            return lock
    return one.locks[-1][1] if one.locks and one.locks[-1][0] is None else None


def _held(transactions: list[Printed]) -> list[list[PrintedLock]]:
    """What each holds. MariaDB prints it with those who want it, and names the owner by number; one that
    has not written has none, and is the next in the cycle."""
    held: list[list[PrintedLock]] = [[] for _ in transactions]
    for place, one in enumerate(transactions):
        following = (place + 1) % len(transactions)
        for kind, lock in one.locks:
            if kind is Kind.HOLDS or (kind is None and lock is not one.locks[-1][1]):
                held[place].append(lock)
            elif kind is Kind.CONFLICTS:
                owner = _owner(lock, transactions, following)
                if owner is not None and not lock.waiting:
                    held[owner].append(lock)
    return held


def _owner(lock: PrintedLock, transactions: list[Printed], following: int) -> int | None:
    able = [place for place, one in enumerate(transactions) if one.owns(lock)]
    return following if following in able else next(iter(able), None)


def who(text: str) -> tuple[str | None, str | None]:
    """(user, client) of a thread line's end: `host address user name state`, each but the state without
    a name of its own; thd_security_context() in sql_class.cc."""
    host, _, rest = _without_state(text.strip()).strip().partition(" ")
    first, _, after = rest.partition(" ")
    if after and _ADDRESS.match(first):
        host, rest = first, after
    sure = len(rest.split()) == 1 or rest != text.strip().partition(" ")[2]
    return (rest.strip() or None) if sure or not rest else None, host or None


def _without_state(text: str) -> str:
    folded = text.casefold()
    for state in _BY_LENGTH:
        if folded == state or folded.endswith(" " + state):
            return text[: len(text) - len(state)]
    return text


def better(one: Deadlock, other: Deadlock | None) -> bool:
    """Whether `one` tells more: who was rolled back, of whom, when exactly, and in the client's own
    characters (STATUS has question marks for what is not in its character set).
    """
    return other is None or _telling(one) > _telling(other)


def _telling(one: Deadlock) -> tuple[bool, int, bool, bool]:
    return one.victim is not None, len(one.participants), one.source != UNTIMED, one.source == LOG


def same_moment(at: float, times: Iterable[float]) -> float | None:
    """The newest of some exact times that fits one of STATUS, which is cut off to whole seconds."""
    return max((one for one in times if at - 0.2 <= one < at + 1.2), default=None)
