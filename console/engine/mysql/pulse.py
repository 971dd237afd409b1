"""One short look at how a server is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.engine.mysql.checks import SCHEMA_ON
from console.engine.mysql.cluster import cluster
from console.engine.mysql.graph import lock_tree
from console.engine.mysql.link import Link
from console.engine.mysql.load import Lag, lag
from console.engine.mysql.look import look_at_all
from console.errors import PrivilegeMissing
from console.model.cluster import Cluster
from console.model.overview import Pulse, queue_of


async def pulse(link: Link) -> Pulse:
    """The wait graph is read only where somebody waits. Raises an Unreachable error; what a privilege is
    missing for is None, and why is told.
    """
    row = (await link.fetch("pulse", "pulse"))[0]
    other, why = await _other_waits(link)
    waiting = None if other is None else int(row["waiting"] or 0) + other
    queue = None
    if waiting:
        try:
            queue = queue_of(await lock_tree(link, await look_at_all(link)))
        except PrivilegeMissing as missing:
            why = f"behind whom they wait: {missing.hint}"
    behind = await lag(link)
    member, hidden = await _member(link)
    return Pulse(
        at=float(row["at"]),
        started=float(row["started"]),
        waiting=waiting,
        queue=queue,
        connections=_number(row, "connections"),
        most=_number(row, "most"),
        work=None if row["statements"] is None else {"": int(row["statements"])},
        wal=_number(row, "wal"),
        lag_seconds=behind.seconds,
        replica=behind.replica,
        halted=behind.why if behind.halted else "",
        cluster=member,
        follows=None if behind.why and not (behind.halted or behind.source) else not behind.source,
        unknown=tuple(one for one in (why, _untold(behind), hidden) if one),
    )


async def _other_waits(link: Link) -> tuple[int | None, str]:
    """(how many, or None with the reason). MySQL without performance_schema lists no threads at all."""
    try:
        row = (await link.fetch("pulse_waits", "sessions"))[0]
    except PrivilegeMissing as missing:
        return None, f"who waits: {missing.hint}"
    if not row["seen"]:
        return None, f"who waits: {SCHEMA_ON}"
    return int(row["waiting"] or 0), ""


async def _member(link: Link) -> tuple[Cluster | None, str]:
    try:
        return await cluster(link), ""
    except PrivilegeMissing as missing:
        return None, f"whether it is a member of a group: {missing.hint}"


def _untold(behind: Lag) -> str:
    """That a source does not know its replicas is no fault of anybody's; that one has stopped is known."""
    return "" if behind.source or behind.halted else behind.why


def _number(row: Mapping[str, Any], name: str) -> int | None:
    return None if row[name] is None else int(row[name])
