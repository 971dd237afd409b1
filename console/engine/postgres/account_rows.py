"""Rows of the catalogs -> roles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.engine.postgres.rows import Record
from console.model.accounts import Account, Breaks, Dependent, Logins, Power, graph, powers_of
from console.model.indexes import Severity
from console.model.verifiers import VerifierKind

# Documentation 22.5, "Predefined Roles", and 22.2, "Role Attributes".
_PREDEFINED = {
    "pg_execute_server_program": Severity.BAD,
    "pg_write_server_files": Severity.BAD,
    "pg_read_server_files": Severity.BAD,
    "pg_write_all_data": Severity.WARN,
    "pg_read_all_data": Severity.WARN,
    "pg_create_subscription": Severity.WARN,
    "pg_maintain": Severity.NOTICE,
    "pg_signal_backend": Severity.NOTICE,
    "pg_checkpoint": Severity.NOTICE,
}


def roles(
    rows: Sequence[Record], memberships: Iterable[Record], kinds: Mapping[str, str] | None
) -> tuple[Account, ...]:
    """Every role but the server's own groups. `kinds` None may not be read."""
    names = {row["number"]: row["name"] for row in rows}
    known = graph(
        (names[row["member"]], names[row["role"]])
        for row in memberships
        if row["member"] in names and row["role"] in names
    )
    own = {row["name"]: _own(row) for row in rows}
    return tuple(_role(row, powers_of(row["name"], own, known), kinds) for row in rows if not row["builtin"])


def _role(row: Record, powers: tuple[Power, ...], kinds: Mapping[str, str] | None) -> Account:
    known = None if kinds is None else VerifierKind(kinds.get(row["name"], VerifierKind.EMPTY))
    return Account(
        name=row["name"],
        may_login=row["may_login"],
        role=not row["may_login"],
        kinds=None if known is None else (known,),
        no_password=None if known is None else known is VerifierKind.EMPTY,
        powers=powers,
        valid_until=row["valid_until"] if _finite(row["valid_until"]) else None,
        expired=bool(row["expired"]),
        overlap=False,
        becomes=row["becomes"] or "",
    )


def _finite(moment: Any) -> bool:
    """asyncpg gives the ends of time for infinity."""
    return moment is not None and 1 < moment.year < 9999


def _own(row: Record) -> tuple[Power, ...]:
    attributes = (
        ("SUPERUSER", row["superuser"], Severity.BAD),
        ("CREATEROLE", row["createrole"], Severity.BAD),
        ("REPLICATION", row["replication"], Severity.WARN),
        ("BYPASSRLS", row["bypassrls"], Severity.WARN),
    )
    found = [Power(name=name, severity=severity) for name, held, severity in attributes if held]
    if row["builtin"] and row["name"] in _PREDEFINED:
        found.append(Power(name=row["name"], severity=_PREDEFINED[row["name"]]))
    return tuple(found)


# ---- sessions and who depends ----------------------------------------------------------------


def logins(rows: Sequence[Record]) -> Logins:
    seen = [row for row in rows if not row["hidden"]]
    return Logins(
        total=len(rows),
        encrypted=sum(bool(row["encrypted"]) for row in seen),
        clear=sum(row["encrypted"] is False and not row["local"] for row in seen),
        local=sum(row["encrypted"] is False and bool(row["local"]) for row in seen),
        starts=tuple(sorted(row["started_at"] for row in seen if row["started_at"])),
    )


def readers(rows: Iterable[Record], user: str) -> tuple[Dependent, ...]:
    """Standbys, subscribers and backups that stream WAL as this role."""
    return tuple(
        Dependent(
            kind="replication session",
            name=row["application"] or "without a name",
            address=row["client"] or "local",
            user=user,
            breaks=Breaks.NEVER if row["kerberos"] else Breaks.RECONNECT,
            why="it logs in by Kerberos" if row["kerberos"] else "",
        )
        for row in rows
        if row["walsender"]
    )


def subscriptions(rows: Iterable[Record]) -> tuple[Dependent, ...]:
    return tuple(
        Dependent(
            kind="subscription",
            name=row["name"],
            user=row["username"],
            address=row["address"],
            outgoing=True,
            breaks=Breaks.RECONNECT,
        )
        for row in rows
    )


def mappings(rows: Iterable[Record]) -> tuple[Dependent, ...]:
    return tuple(
        Dependent(
            kind="foreign server",
            name=f"{row['name']} for {row['local_user']}",
            user=row["username"],
            address=row["address"] or "local",
            outgoing=True,
            breaks=Breaks.NOW,
            why="each session that uses it logs in for itself",
        )
        for row in rows
    )


def receiver(rows: Iterable[Record]) -> tuple[Dependent, ...]:
    return tuple(
        Dependent(
            kind="primary_conninfo",
            name="this standby",
            user=row["username"],
            address=row["address"],
            outgoing=True,
            breaks=Breaks.RECONNECT,
        )
        for row in rows
    )
