"""Accounts of MySQL and MariaDB: who they are, who is logged in, who depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from console.engine.mysql import account_rows as to
from console.engine.mysql.link import Link
from console.engine.mysql.verifier_rows import stored
from console.errors import PrivilegeMissing
from console.model.accounts import Account, Accounts, Dependent, Gap
from console.model.guessing import Stored


async def accounts(link: Link) -> Accounts:
    """Raises PrivilegeMissing where the accounts themselves may not be read; the rest is a gap."""
    _, identity = await link.connected()
    rows = await link.fetch("accounts", "accounts")
    gaps: list[Gap] = []
    mysql = identity.flavor == "mysql"
    rights = to.Rights(
        dynamic=await _try(link, gaps, "account_rights", "rights such as SYSTEM_USER") if mysql else (),
        roles=await _try(link, gaps, "account_roles", "rights held through roles"),
    )
    found = to.accounts(rows, rights)
    sessions, notes = await _sessions(link, gaps)
    if sessions is not None:
        clock = float(rows[0]["clock"]) if rows else 0.0
        now = datetime.fromtimestamp(clock, UTC)
        every = to.Sessions(rows=sessions, now=now, started_at=identity.started_at)
        found, lost = _with_sessions(found, every)
        notes += [f"{lost} sessions belong to accounts that are no longer there"] if lost else []
    return Accounts(
        accounts=found,
        now=datetime.fromtimestamp(float(rows[0]["clock"]), UTC) if rows else None,
        outgoing=await _outgoing(link, gaps),
        gaps=tuple(gaps),
        notes=tuple(notes),
    )


async def own(link: Link) -> Account | None:
    """None for an answer that is not understood."""
    _, identity = await link.connected()
    [row] = await link.fetch("own_account", "its own account")
    return to.own(str(next(iter(row.values()))), identity.user)


async def verifiers(link: Link) -> tuple[Stored, ...]:
    """Raises PrivilegeMissing with the GRANT."""
    return stored(await link.fetch("verifiers", "password verifiers"))


async def _try(link: Link, gaps: list[Gap], read: str, what: str) -> list[dict[str, Any]] | None:
    try:
        return await link.fetch(read, what)
    except PrivilegeMissing as missing:
        gaps.append(Gap(what=what, remedy=missing.hint))
        return None


async def _sessions(link: Link, gaps: list[Gap]) -> tuple[Sequence[dict[str, Any]] | None, list[str]]:
    """From performance_schema, which tells of TLS; else from the list of processes, which does not.

    None where a login would see its own sessions only.
    """
    figures = (await link.fetch("privileges", "privileges"))[0]
    rows: list[dict[str, Any]] | None = None
    if figures["performance_schema"]:
        rows = await _try(link, gaps, "account_sessions", "sessions and their TLS")
    if rows is not None:
        return rows, []
    try:
        await link.fetch("transactions", "sessions of others")  # needs PROCESS, as the list of all does
    except PrivilegeMissing as missing:
        gaps.append(Gap(what="sessions", remedy=missing.hint))
        return None, []
    listed = await link.fetch("processlist", "sessions", None, None)
    clients = [row for row in listed if row["user"] not in ("system user", "event_scheduler", None)]
    return clients, ["whether sessions are encrypted is unknown: performance_schema is off or forbidden"]


def _with_sessions(found: Sequence[Account], every: to.Sessions) -> tuple[tuple[Account, ...], int]:
    owned, lost = to.owners(found, every.rows)
    return tuple(
        msgspec.structs.replace(
            one,
            logins=to.logins(one, owned.get(one.key, []), every),
            dependents=to.dependents(owned.get(one.key, [])),
        )
        for one in found
    ), lost


async def _outgoing(link: Link, gaps: list[Gap]) -> tuple[Dependent, ...]:
    sources = await _try(link, gaps, "account_sources", "as whom this server replicates")
    servers = await _try(link, gaps, "account_servers", "as whom federated tables log in")
    return (*to.sources(sources or ()), *to.servers(servers or ()))
