"""SHOW ENGINE INNODB STATUS -> the last deadlock, and how far purge is. Pure.

The text has sections: a line of dashes, a name, a line of dashes. It ends at 1 MB, and then the list of
transactions is what is cut ("SHOW ENGINE" in both manuals).
"""

from __future__ import annotations

import re
from itertools import pairwise

import msgspec

from console.engine.mysql.deadlock_text import Reader, Report

# The number of dashes differs by section and version.
_DEADLOCK = re.compile(
    r"^-+\nLATEST DETECTED DEADLOCK\n-+\n(\d{4}-\d\d-\d\d [ \d]\d:\d\d:\d\d)\b", re.MULTILINE
)
_PURGE = re.compile(
    r"^-+\nTRANSACTIONS\n-+\n(?:Total number of lock structs.*\n)?Trx id counter (\d+)\n"
    r"Purge done for trx's n:o < (\d+) undo n:o < \d+ state: (.*)\n(?:History list length (\d+))?",
    re.MULTILINE,
)
_BLOCK = re.compile(r"^---TRANSACTION (\d+|\(0x[0-9a-fA-F]+\)), ", re.MULTILINE)
_THREAD = re.compile(r"^(?:MySQL|MariaDB) thread id (\d+), OS thread handle", re.MULTILINE)
_VIEW = re.compile(
    r"^Trx read view will not see trx with id >= (\d+), sees < (\d+)$(?!.*^Trx read view)",
    re.MULTILINE | re.DOTALL,
)
_END = re.compile(r"^-+\nFILE I/O\n-+\n", re.MULTILINE)
CUT = "... truncated..."


class View(msgspec.Struct, frozen=True):
    """A read view: it sees what was committed by transactions below `sees`, and nothing from `hides` on."""

    sees: int
    hides: int


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """The head of the list of transactions, and the read views in it by connection id.

    `views` has every read view in MariaDB; MySQL lists only transactions that have a number, and the
    views of mere readers are missing. `prepared` are connections whose XA transaction is prepared.
    """

    counter: int
    done: int
    state: str
    history: int | None
    views: dict[int, View]
    prepared: frozenset[int] = frozenset()
    whole: bool = True


def latest_deadlock(text: str) -> Report | None:
    """None where there was none since the server started, or where its text is not whole."""
    for head in _DEADLOCK.finditer(text):
        reader = Reader()
        reader.reset(head[1])
        for line in text[head.end() :].splitlines():
            if (report := reader.take(line)) is not None:
                return report
    return None


def purge(text: str) -> Purge | None:
    """None where the section is not there."""
    found = _PURGE.search(text, _after_deadlock(text))
    if found is None:
        return None
    end = _END.search(text, found.end())
    blocks = _blocks(text[found.end() : end.start() if end else len(text)])
    views: dict[int, View] = {}
    prepared: set[int] = set()
    for block in blocks:
        thread = _THREAD.search(block)
        if thread is None:
            continue
        if view := _VIEW.search(block):
            views.setdefault(int(thread[1]), View(sees=int(view[2]), hides=int(view[1])))
        if ", ACTIVE (PREPARED)" in block.partition("\n")[0]:
            prepared.add(int(thread[1]))
    return Purge(
        counter=int(found[1]),
        done=int(found[2]),
        state=found[3].strip(),
        history=int(found[4]) if found[4] else None,
        views=views,
        prepared=frozenset(prepared),
        whole=CUT not in text and end is not None,
    )


def _after_deadlock(text: str) -> int:
    """A statement of the deadlock may contain whatever comes after it."""
    head = _DEADLOCK.search(text)
    if head is None:
        return 0
    place = head.end()
    reader = Reader()
    reader.reset(head[1])
    for line in text[head.end() :].splitlines(keepends=True):
        place += len(line)
        if reader.take(line.rstrip("\r\n")) is not None:
            return place
    return 0


def _blocks(text: str) -> list[str]:
    starts = [found.start() for found in _BLOCK.finditer(text)]
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]
