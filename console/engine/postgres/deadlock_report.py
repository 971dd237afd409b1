"""One message of the server log about a deadlock -> the model. Pure.

The report is made by DeadLockReport in deadlock.c: a line for each wait of the cycle, beginning with the
process that gave up, then the statement of each. Objects are named by DescribeLockTag in lmgr.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

from console.engine.postgres.lock_rows import advisory_key
from console.engine.postgres.server_log import LogEntry
from console.model.deadlocks import Deadlock, LockRef, Participant

_WAIT = re.compile(r"Process (\d+) waits for (\w+) on (.*); blocked by process (\d+)\.")
# In other languages the order of the numbers, the lock mode and the line breaks are the same.
_FOREIGN_WAIT = re.compile(r"[^\d]{0,80}(\d+)[^\d].*?\b(\w+Lock)\b(.*?)(\d+)[^\d]{0,80}")
_PLACE = re.compile(r'tuple \((\d+),(\d+)\) in relation "(.+?)"')
_RELATION = re.compile(r"relation (\d+) of database (\d+)")
_TUPLE = re.compile(r"^tuple (?=\(\d)")
_ADVISORY = re.compile(r"advisory lock \[(\d+),(\d+),(\d+),(\d+)\]")
_LEAD = re.compile(r"([^\d]{0,60})\d+: ")  # the word for "process"


class _Wait(msgspec.Struct, frozen=True):
    waiter: int
    mode: str
    object: str
    blocker: int


def deadlock(entry: LogEntry, source: str, *, read_at: datetime) -> Deadlock:
    """`read_at` stands for the time of a log that has none."""
    waits, lines = _waits(entry.detail.split("\n"))
    pid = entry.pid if entry.pid is not None else waits[0].waiter if waits else 0
    return Deadlock(
        at=entry.at or read_at,
        source=source,
        ident=_ident(entry, pid, source),
        participants=tuple(_participants(entry, waits, lines)),
    )


def _ident(entry: LogEntry, pid: int, source: str) -> str:
    """The same in every format. One process cannot lose twice in a millisecond, but in a second it can."""
    if entry.at is None:
        return f"{pid}@{source}+{entry.offset}"
    when = entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return f"{pid}@{when}Z" if entry.exact else f"{pid}@{when}Z+{entry.offset}"


def _waits(lines: Sequence[str]) -> tuple[list[_Wait], Sequence[str]]:
    """The cycle and the lines after it; nothing where no cycle can be made out."""
    for pattern in (_WAIT, _FOREIGN_WAIT):
        found: list[_Wait] = []
        for place, line in enumerate(lines):
            match = pattern.fullmatch(line)
            if match is None or len(match[1]) > 10 or len(match[4]) > 10:
                break
            found.append(_Wait(int(match[1]), match[2], match[3].strip(), int(match[4])))
            if found[-1].blocker == found[0].waiter:
                if all(one.blocker == after.waiter for one, after in pairwise(found)):
                    return found, lines[place + 1 :]
                break
    return [], ()


def _participants(entry: LogEntry, waits: Sequence[_Wait], lines: Sequence[str]) -> Iterator[Participant]:
    statements = _statements(lines, [wait.waiter for wait in waits])
    for place, wait in enumerate(waits):
        victim = place == 0
        wants = LockRef(object=_object(wait.object), mode=wait.mode, place=_place(entry) if victim else "")
        yield Participant(
            session=wait.waiter,
            user=entry.user if victim else None,
            database=entry.database if victim else None,
            application=entry.application if victim else None,
            client=entry.client if victim else None,
            statement=statements.get(wait.waiter) or (entry.statement or None if victim else None),
            wants=wants,
            holds=(LockRef(object=_object(waits[place - 1].object)),),
            victim=victim,
        )


def _place(entry: LogEntry) -> str:
    found = _PLACE.search(entry.context)
    return f"row ({found[1]},{found[2]}) of {found[3]}" if found else ""


def _statements(lines: Sequence[str], pids: Sequence[int]) -> dict[int, str]:
    """In the order of the cycle, each from `Process <pid>: ` to the next one's.

    Taken from the report for everybody, as it cuts all at track_activity_query_size: the statement of
    one code path then has one shape, whoever is the victim.
    """
    lead = _LEAD.match(lines[0]) if lines else None
    if lead is None:
        return {}
    starts: list[tuple[int, int, str]] = []
    place = 0
    for pid in pids:
        head = f"{lead[1]}{pid}: "
        number = next((at for at in range(place, len(lines)) if lines[at].startswith(head)), None)
        if number is not None:
            starts.append((pid, number, lines[number].removeprefix(head)))
            place = number + 1
    ends = [*(number for _, number, _ in starts[1:]), len(lines)][: len(starts)]
    texts = {
        pid: "\n".join((first, *lines[number + 1 : end]))
        for (pid, number, first), end in zip(starts, ends, strict=True)
    }
    # "<insufficient privilege>", "<backend information not available>" and the like (backend_status.c)
    return {pid: text for pid, text in texts.items() if not (text.startswith("<") and text.endswith(">"))}


def _object(text: str) -> str:
    """In the words of the lock graph; relations stay numbers until their names are known."""
    advisory = _ADVISORY.fullmatch(text)
    if advisory:
        return f"advisory lock {advisory_key(int(advisory[2]), int(advisory[3]), int(advisory[4]))}"
    return _TUPLE.sub("row ", text)


# ---- names ---------------------------------------------------------------------------------------


def relations_in(one: Deadlock) -> set[tuple[int, int]]:
    """(database, relation) pairs that are still numbers; 0 is the shared catalogs."""
    return {
        (int(found[2]), int(found[1]))
        for participant in one.participants
        for ref in _refs(participant)
        for found in _RELATION.finditer(ref.object)
    }


def with_names(one: Deadlock, relations: Mapping[tuple[int, int], str]) -> Deadlock:
    def named(ref: LockRef) -> LockRef:
        return msgspec.structs.replace(ref, object=_RELATION.sub(_naming(relations), ref.object))

    return msgspec.structs.replace(
        one,
        participants=tuple(
            msgspec.structs.replace(
                each,
                wants=None if each.wants is None else named(each.wants),
                holds=tuple(named(ref) for ref in each.holds),
            )
            for each in one.participants
        ),
    )


def _naming(relations: Mapping[tuple[int, int], str]) -> Callable[[re.Match[str]], str]:
    return lambda found: relations.get((int(found[2]), int(found[1])), found[0])


def _refs(one: Participant) -> tuple[LockRef, ...]:
    return one.holds if one.wants is None else (one.wants, *one.holds)
