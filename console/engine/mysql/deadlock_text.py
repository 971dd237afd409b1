"""The text InnoDB prints of a deadlock, line by line, in SHOW ENGINE INNODB STATUS and in the log. Pure.

    *** (1) TRANSACTION:                                 heading (the log of MySQL may lack all of them)
    TRANSACTION 37, ACTIVE 0 sec starting index read
    MariaDB thread id 10, …, query id 46 localhost app Updating
    update t set …                                       the statement: any text, many lines
    *** WAITING FOR THIS LOCK TO BE GRANTED:             MySQL puts (1) before it, and HOLDS THE LOCK(S)
    RECORD LOCKS space id 6 page no 3 … trx id 37 …      and the record's dump
    *** CONFLICTING WITH:                                MariaDB: what others hold on that record
    *** WE ROLL BACK TRANSACTION (1)

A statement may contain any of these lines. It ends at the first lock line of its own transaction: whoever
wrote it cannot know that number beforehand.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec

from console.engine.mysql.lock_text import PrintedLock, add_record_line, lock_line

_HEADING = re.compile(r"\s*\*\*\* \((\d+)\) TRANSACTION:\s*$")
_TRANSACTION = re.compile(r"TRANSACTION (\d+|\(0x[0-9a-fA-F]+\)), ACTIVE\b")
_THREAD = re.compile(r"(?:MySQL|MariaDB) thread id (\d+), OS thread handle \S+, query id (\d+) ?(.*)$")
_LOCKS = re.compile(
    r"\s*\*\*\* (?:\(\d+\) )?"
    r"(HOLDS THE LOCK\(S\)|WAITING FOR THIS LOCK TO BE GRANTED|CONFLICTING WITH):\s*$"
)
_VICTIM = re.compile(r"\s*\*\*\* WE ROLL BACK TRANSACTION \((\d+)\)\s*$")
_MOST_LINES = 4000  # InnoDB prints 3000 characters of a statement: this is none


class Kind(Enum):
    HOLDS = "HOLDS THE LOCK(S)"
    WAITS = "WAITING FOR THIS LOCK TO BE GRANTED"
    CONFLICTS = "CONFLICTING WITH"


class Printed(msgspec.Struct):
    """A transaction of a deadlock. `who` is the rest of its thread line: host, address, user, state."""

    trx: str
    thread: int = 0
    query: int = 0
    who: str = ""
    statement: list[str] = []
    locks: list[tuple[Kind | None, PrintedLock]] = []

    def owns(self, lock: PrintedLock) -> bool:
        return lock.owner == ("0" if self.trx.startswith("(") else self.trx)


class Report(msgspec.Struct):
    """A deadlock as printed. `at` is the time in the words of the source, `victim` a place in
    `transactions`; None where it was not printed.
    """

    at: str | None
    transactions: list[Printed]
    victim: int | None = None


class _State(Enum):
    IDLE = auto()
    HEADING = auto()  # the next transaction must begin
    HEAD = auto()  # of a transaction
    STATEMENT = auto()
    LOCKS = auto()


class Reader:
    """Takes lines, gives each report as it ends; what lines came together does not matter.

    `bare` reports have no headings: MySQL prints none below log_error_verbosity = 3. They end where
    their cycle closes: the last transaction wants what the first one holds.
    """

    def __init__(self, *, bare: bool = False) -> None:
        self._bare = bare
        self.reset()

    def reset(self, at: str | None = None) -> None:
        """Forget what was begun; `at` is when the next report was announced."""
        self._state = _State.IDLE
        self._at = at
        self._headed = at is not None
        self._found: list[Printed] = []
        self._kind: Kind | None = None

    @property
    def _headed_here(self) -> bool:
        return self._state is _State.HEADING

    @property
    def _bare_here(self) -> bool:
        return self._bare and not self._headed

    def take(self, line: str) -> Report | None:
        match self._state:
            case _State.HEAD:
                self._head(line)
            case _State.STATEMENT:
                self._statement(line)
            case _State.LOCKS:
                return self._locks(line)
            case _:
                self._outside(line)
        return None

    def _outside(self, line: str) -> None:
        if heading := _HEADING.match(line):
            self._enter(int(heading[1]))
        elif (found := _TRANSACTION.match(line)) and (self._headed_here or self._bare_here):
            self._begin(found[1])

    def _enter(self, number: int) -> None:
        """A heading outside of any statement."""
        if number == 1:
            self._found = []
        if number == len(self._found) + 1:
            self._headed = True
            self._state = _State.HEADING

    def _begin(self, trx: str) -> None:
        self._found.append(Printed(trx, statement=[], locks=[]))
        self._kind = None
        self._state = _State.HEAD

    def _head(self, line: str) -> None:
        one = self._found[-1]
        if thread := _THREAD.match(line):
            one.thread, one.query, one.who = int(thread[1]), int(thread[2]), thread[3]
            self._state = _State.STATEMENT
        elif kind := _LOCKS.match(line):
            self._kind = Kind(kind[1])
        elif (lock := lock_line(line)) and one.owns(lock):
            self._add(lock)

    def _statement(self, line: str) -> None:
        one = self._found[-1]
        lock = lock_line(line)
        if lock is None or not one.owns(lock):
            one.statement.append(line)
            if len(one.statement) > _MOST_LINES:
                self.reset()
            return
        while one.statement and not one.statement[-1].strip():
            one.statement.pop()
        if one.statement and (kind := _LOCKS.match(one.statement[-1])):
            self._kind = Kind(kind[1])
            one.statement.pop()
        self._add(lock)

    def _add(self, lock: PrintedLock) -> None:
        self._found[-1].locks.append((self._kind, lock))
        self._state = _State.LOCKS

    def _locks(self, line: str) -> Report | None:
        if lock := lock_line(line):
            self._add(lock)
        elif kind := _LOCKS.match(line):
            self._kind = Kind(kind[1])
        elif victim := _VICTIM.match(line):
            return self._end(int(victim[1]))
        elif heading := _HEADING.match(line):
            self._enter(int(heading[1]))
        elif not self._headed:
            return self._bare_line(line)
        else:
            add_record_line(self._found[-1].locks[-1][1], line)
        return None

    def _bare_line(self, line: str) -> Report | None:
        found = _TRANSACTION.match(line)
        if found is None and line.strip():
            add_record_line(self._found[-1].locks[-1][1], line)
            return None
        report = self._end(None) if closed(self._found) else None
        if found:
            self._begin(found[1])
        return report

    def _end(self, victim: int | None) -> Report:
        known = victim is not None and 1 <= victim <= len(self._found)
        report = Report(self._at, self._found, victim - 1 if known and victim is not None else None)
        self.reset()
        return report


def closed(transactions: list[Printed]) -> bool:
    """Whether the last one waits for a lock of the first: of a record, or of a table."""
    if len(transactions) < 2 or len(transactions[-1].locks) < 2:
        return False
    wanted = transactions[-1].locks[-1][1]
    if len(transactions[0].locks) < 2:  # before MySQL 8.0.18 nothing of the first is printed, and two are all
        return True
    held = [lock for _, lock in transactions[0].locks[:-1]]
    if wanted.page is None:
        return any(lock.page is None and lock.table == wanted.table for lock in held)
    return any(wanted.heaps() & lock.heaps() for lock in held)
