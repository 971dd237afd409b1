"""One short look at how a server is doing, and the ages of its transaction numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from console.engine.postgres.link import Link
from console.engine.postgres.load import load
from console.engine.postgres.remedies import role_in_sql
from console.engine.postgres.rows import Record
from console.engine.postgres.waits import Waits
from console.model.overview import Commits, Outlook, Pulse, Queue, queue_of
from console.model.wraparound import Numbers, xid_limits


async def read(link: Link, waits: Waits) -> Pulse:
    """The lock table is read only where somebody waits. Raises an Unreachable error."""
    row = (await link.fetch("pulse", "pulse"))[0]
    queue = await _queue(link, waits) if row["waiting"] else None
    hidden = f"GRANT pg_monitor TO {role_in_sql(link.target.monitor.user)};" if row["hidden"] else ""
    return pulse(row, await link.fetch("replicas", "replicas"), queue, hidden)


async def _queue(link: Link, waits: Waits) -> Queue | None:
    activity = await waits.activity()
    if not activity.anybody_waits:
        return None
    return queue_of(await waits.tree(activity, await link.fetch("contended_locks", "locks")))


async def numbers(link: Link) -> Outlook:
    """Raises an Unreachable error."""
    _, identity = await link.connected()
    return oldest((await link.fetch("oldest_numbers", "transaction numbers"))[0], identity.version_num)


# ---- pure --------------------------------------------------------------------------------------


def pulse(row: Record, replicas: Iterable[Record], queue: Queue | None, hidden: str) -> Pulse:
    """`hidden` is the GRANT that is missing: then who waits, and how many there are, is not known."""
    rows = list(replicas)
    behind = load(0, rows)
    return Pulse(
        at=row["at"],
        started=row["started"],
        waiting=None if hidden else row["waiting"],
        queue=None if hidden else queue,
        connections=None if hidden else row["connections"],
        most=row["most"],
        work=_by_database(row),
        wal=row["wal"],
        xid=int(row["xid"]),
        lag_seconds=behind.lag_seconds,
        lag_bytes=behind.lag_bytes,
        replica=behind.replica,
        halted=behind.why if behind.halted else "",
        follows=any(one["state"] == "standby" for one in rows),
        commits=None if hidden else _commits(row),
        unknown=(f"who waits, connections and lag: {hidden}",) if hidden else (),
    )


_MANY = re.compile(r"\s*(?:first\s+|any\s+)?(\d+)\s*\(", re.IGNORECASE)


def wanted(names: str) -> int:
    """How many standbys have to confirm a commit, by synchronous_standby_names."""
    found = _MANY.match(names)
    return int(found[1]) if found else 1


def _commits(row: Record) -> Commits | None:
    names = row["synchronous"]
    if not names or not (row["commits_wait"] or row["commits"]):
        return None
    return Commits(
        standbys=names,
        wanted=wanted(names),
        there=row["confirming"],
        waiting=row["commits"],
        seconds=row["commit_seconds"],
    )


def _by_database(row: Record) -> dict[str, int]:
    return {str(name): int(done) for name, done in zip(row["databases"], row["transactions"], strict=True)}


def oldest(row: Record, version: int) -> Outlook:
    kinds = (("xid", "xid"), ("mxid", "multixact"))
    return Outlook(
        numbers=tuple(
            Numbers(
                kind=kind,
                age=row[f"{name}_age"],
                limits=xid_limits(version, row[f"{name}_freeze"], row[f"{name}_failsafe"]),
                database=row[f"{name}_database"],
            )
            for name, kind in kinds
        )
    )
