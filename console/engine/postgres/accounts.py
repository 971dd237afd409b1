"""Roles of PostgreSQL: who they are, who is logged in, who depends on them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from console.engine.postgres import account_rows as to
from console.engine.postgres.link import Link
from console.engine.postgres.rows import Record
from console.engine.queries import quote_ident
from console.errors import PrivilegeMissing
from console.model.accounts import Account, Accounts, Dependent, Gap
from console.model.guessing import Stored
from console.model.verifiers import POSTGRESQL, parse

_KINDS = "GRANT SELECT (rolname, rolpassword, rolcanlogin) ON pg_catalog.pg_authid TO {role};"

_MAPPINGS = "only a foreign server's owner and superusers see it; no GRANT shows it without the passwords"


async def read(link: Link) -> Accounts:
    """What may not be read is a gap with its GRANT."""
    role = quote_ident((await link.connected())[1].user, "postgresql")
    rows = await link.fetch("accounts", "roles")
    members = await link.fetch("account_members", "memberships")
    may = (await link.fetch("account_rights", "rights"))[0]
    gaps: list[Gap] = []
    found = to.roles(rows, members, await _kinds(link, gaps, role, readable=may["kinds"]))
    numbers = {row["name"]: row["number"] for row in rows}
    found = await _with_sessions(link, found, numbers, gaps, role)
    return Accounts(
        accounts=found,
        now=rows[0]["now"] if rows else None,
        outgoing=await _outgoing(link, gaps, role, readable=may["subscriptions"]),
        gaps=tuple(gaps),
    )


async def verifiers(link: Link) -> tuple[Stored, ...]:
    """Raises PrivilegeMissing with the GRANT."""
    _, identity = await link.connected()
    try:
        rows = await link.fetch("verifiers", "password verifiers")
    except PrivilegeMissing as missing:
        raise PrivilegeMissing(
            missing.message, _KINDS.format(role=quote_ident(identity.user, "postgresql"))
        ) from None
    return tuple(
        Stored(name=row["name"], verifier=parse(row["verifier"], POSTGRESQL, user=row["name"]))
        for row in rows
    )


async def _kinds(link: Link, gaps: list[Gap], role: str, *, readable: bool) -> dict[str, str] | None:
    if not readable:
        gaps.append(Gap(what="how passwords are kept, and who has none", remedy=_KINDS.format(role=role)))
        return None
    return {row["name"]: row["kind"] for row in await link.fetch("account_kinds", "kinds of verifiers")}


async def _with_sessions(
    link: Link, found: Sequence[Account], numbers: dict[str, int], gaps: list[Gap], role: str
) -> tuple[Account, ...]:
    rows = await link.fetch("account_sessions", "sessions")
    if any(row["hidden"] for row in rows):
        gaps.append(
            Gap(what="TLS and replication of others' sessions", remedy=f"GRANT pg_monitor TO {role};")
        )
    by_role: dict[int, list[Record]] = {}
    for row in rows:
        by_role.setdefault(row["role"], []).append(row)
    return tuple(
        msgspec.structs.replace(
            one,
            logins=to.logins(by_role.get(numbers[one.name], [])),
            dependents=to.readers(by_role.get(numbers[one.name], []), one.name),
        )
        for one in found
    )


async def _outgoing(link: Link, gaps: list[Gap], role: str, *, readable: bool) -> tuple[Dependent, ...]:
    mapped = await link.fetch("account_mappings", "user mappings")
    if any(row["hidden"] for row in mapped):
        gaps.append(Gap(what="as whom some foreign servers are used", remedy=_MAPPINGS))
    received = await link.fetch("account_receiver", "the WAL receiver")
    return (
        *to.subscriptions(await _subscriptions(link, gaps, role, readable=readable)),
        *to.mappings(mapped),
        *to.receiver(received),
    )


async def _subscriptions(link: Link, gaps: list[Gap], role: str, *, readable: bool) -> Sequence[Record]:
    if readable:
        return await link.fetch("account_subscriptions", "subscriptions")
    names = await link.fetch("account_subscription_names", "subscriptions")
    if names:
        remedy = f"GRANT SELECT (subname, subconninfo) ON pg_catalog.pg_subscription TO {role};"
        gaps.append(Gap(what="as whom subscriptions log in", remedy=f"{remedy} -- shows their passwords too"))
    return names
