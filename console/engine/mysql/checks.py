"""What `doctor` finds out about a MySQL or MariaDB server."""

from __future__ import annotations

import re
import statistics
import time
from typing import Any

from console.engine.mysql.link import Link
from console.engine.mysql.rows import account_literal
from console.errors import PrivilegeMissing
from console.model.target import Check, ServerIdentity

# Granted on *.* these end other people's sessions; MySQL manual 8.2.2, MariaDB "GRANT".
_POWERS = re.compile(r"ALL PRIVILEGES|\bSUPER\b|CONNECTION[_ ]ADMIN|SYSTEM_USER")
_CLOCK_SECONDS = 2
SCHEMA_ON = "performance_schema = ON in the server's configuration; it takes a restart"
_POLL_MS = 50


async def findings(link: Link) -> tuple[Check, ...]:
    _, identity = await link.connected()
    figures = (await link.fetch("privileges", "privileges"))[0]
    grants = [str(next(iter(row.values()))) for row in await link.fetch("grants", "grants")]
    schema_on = bool(figures["performance_schema"])
    found = [
        await _can_read(link, "transactions", "sessions and row locks", "sees every session and its waits"),
        await _performance_schema(link, on=schema_on),
        await _metadata(link, on=schema_on),
        powers(grants, account_literal(identity.user)),
        slots(figures),
        clock(float(figures["clock"])),
        load(*await _cost(link, identity)),
    ]
    if identity.flavor == "mysql":  # MariaDB asks for no privilege there
        found.append(await _xa_names(link))
    return tuple(found)


async def _can_read(link: Link, read: str, name: str, detail: str) -> Check:
    try:
        await link.fetch(read, name)
    except PrivilegeMissing as missing:
        return Check(name=name, ok=False, detail=missing.message, hint=missing.hint, vital=True)
    return Check(name=name, ok=True, detail=detail, vital=True)


async def _xa_names(link: Link) -> Check:
    name = "prepared XA transactions"
    try:
        await link.fetch("xa_prepared", name)
    except PrivilegeMissing as missing:
        return Check(name=name, ok=None, detail="shown without their names", hint=missing.hint)
    return Check(name=name, ok=True, detail="shown with their names")


async def _performance_schema(link: Link, *, on: bool) -> Check:
    name = "performance_schema"
    if on:
        return await _can_read(link, "applications", name, "readable")
    return Check(
        name=name,
        ok=False,
        detail="off: MySQL shows no waits at all then; MariaDB neither who holds metadata locks nor "
        "program names, those of other dbdecks among them",
        hint=SCHEMA_ON,
    )


async def _metadata(link: Link, *, on: bool) -> Check:
    name = "metadata locks"
    try:
        rows = await link.fetch("metadata_instrument", name) if on else []
    except PrivilegeMissing as missing:
        return Check(name=name, ok=None, detail=missing.message, hint=missing.hint)
    if any(row["complete"] for row in rows):
        return Check(name=name, ok=True, detail="recorded")
    return Check(
        name=name,
        ok=False,
        detail="not recorded, or not all: who waits is shown, who blocks is unknown",
        hint="UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' "
        "WHERE NAME = 'wait/lock/metadata/sql/mdl';"
        if on
        else SCHEMA_ON,
    )


def powers(grants: list[str], account: str) -> Check:
    """The polling account should not be able to end anybody else's session."""
    found = sorted({power for line in grants if " ON *.* " in line for power in _POWERS.findall(line)})
    return Check(
        name="monitor cannot act",
        ok=not found,
        detail=f"the polling account holds {', '.join(found)}" if found else "it cannot end others' sessions",
        hint=f"REVOKE {', '.join(found)} ON *.* FROM {account};" if found else "",
    )


def slots(figures: dict[str, Any]) -> Check:
    used, most = int(figures["used"]), int(figures["max_connections"])
    return Check(
        name="connection slots",
        ok=used < most,
        detail=f"{used} of {most} used, one more for CONNECTION_ADMIN or SUPER",
    )


def clock(server: float) -> Check:
    skew = server - time.time()
    return Check(
        name="clock", ok=abs(skew) < _CLOCK_SECONDS, detail=f"the server is {skew:+z.1f} s from this machine"
    )


def load(poll_ms: float, trip_ms: float) -> Check:
    return Check(
        name="load of one poll",
        ok=poll_ms < _POLL_MS,
        detail=f"about {poll_ms:.1f} ms on the server every refresh; round trip {trip_ms:.1f} ms",
    )


async def _cost(link: Link, identity: ServerIdentity, rounds: int = 5) -> tuple[float, float]:
    """(ms of one poll beyond the round trips, ms of a round trip): medians of a few."""
    sessions = "sessions" if identity.flavor == "mysql" else "processlist"
    polls, trips = [], []
    for _ in range(rounds):
        trips.append(await _timed(link, "ping"))
        polls.append(await _timed(link, sessions, None, None) + await _timed(link, "transactions"))
    trip = statistics.median(trips)
    return max(0.0, statistics.median(polls) - 2 * trip), trip


async def _timed(link: Link, read: str, *args: object) -> float:
    await link.settled()
    start = time.perf_counter()
    try:
        await link.fetch(read, read, *args)
    except PrivilegeMissing:
        return 0.0  # what may not be read is not polled
    return (time.perf_counter() - start) * 1000
