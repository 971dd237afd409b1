"""Rows of the grant tables -> accounts. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from console.model.accounts import Account, Breaks, Dependent, Key, Logins, Power, graph, label, powers_of
from console.model.hosts import Pair, chosen
from console.model.indexes import Severity
from console.model.verifiers import VerifierKind, kind_of

Record = Mapping[str, Any]

_SYSTEM = ("mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys")
# privilege_t of MariaDB's sql/privilege.h: the number of a name is its bit. Up to CREATE TABLESPACE they
# are those of MySQL 5.7, and ALL PRIVILEGES holds all of them.
_BITS = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "FILE",
    "GRANT OPTION", "REFERENCES", "INDEX", "ALTER", "SHOW DATABASES", "SUPER", "CREATE TEMPORARY TABLES",
    "LOCK TABLES", "EXECUTE", "REPLICATION SLAVE", "BINLOG MONITOR", "CREATE VIEW", "SHOW VIEW",
    "CREATE ROUTINE", "ALTER ROUTINE", "CREATE USER", "EVENT", "TRIGGER", "CREATE TABLESPACE",
    "DELETE HISTORY", "SET USER", "FEDERATED ADMIN", "CONNECTION ADMIN", "READ_ONLY ADMIN",
    "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN", "BINLOG REPLAY", "SLAVE MONITOR",
)  # fmt: skip
_DANGERS = {
    **dict.fromkeys(("SUPER", "FILE", "CREATE USER", "GRANT OPTION", "INSERT", "UPDATE", "DELETE", "SET USER",
                     "ROLE_ADMIN", "SET_USER_ID", "SET_ANY_DEFINER", "CREATE ROUTINE", "ALTER ROUTINE",
                     "SYSTEM_VARIABLES_ADMIN"), Severity.BAD),
    **dict.fromkeys(("SYSTEM_USER", "SHUTDOWN", "DROP", "ALTER", "TRIGGER", "EVENT", "EXECUTE",
                     "PERSIST_RO_VARIABLES_ADMIN", "BACKUP_ADMIN", "CLONE_ADMIN", "BINLOG_ADMIN",
                     "BINLOG ADMIN", "BINLOG REPLAY", "FEDERATED ADMIN", "REPLICATION_SLAVE_ADMIN",
                     "REPLICATION SLAVE ADMIN", "REPLICATION_APPLIER", "REPLICATION SLAVE", "SELECT",
                     "PASSWORDLESS_USER_ADMIN", "AUTHENTICATION_POLICY_ADMIN", "DELETE HISTORY"),
                    Severity.WARN),
    **dict.fromkeys(("PROCESS", "RELOAD", "CONNECTION_ADMIN", "CONNECTION ADMIN", "READ_ONLY ADMIN",
                     "APPLICATION_PASSWORD_ADMIN"), Severity.NOTICE),
}  # fmt: skip
_ALL = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "FILE"}
    | {"INDEX", "ALTER", "SUPER", "EXECUTE", "REPLICATION SLAVE", "CREATE VIEW", "CREATE ROUTINE"}
    | {"ALTER ROUTINE", "CREATE USER", "EVENT", "TRIGGER"}
)
_LEAST_SLACK = 2.0  # seconds: the list of sessions counts whole ones


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in other tables than the accounts'; None where it may not be read."""

    dynamic: Sequence[Record] | None = ()
    roles: Sequence[Record] | None = ()


def accounts(rows: Sequence[Record], rights: Rights) -> tuple[Account, ...]:
    """Without sessions and dependents. Powers are what is known of them; see `Rights`."""
    dynamic: dict[str, set[str]] = {}
    for row in rights.dynamic or ():
        dynamic.setdefault(_name(row), set()).add(str(row["privilege"]).upper())
    own = {_name(row): _powers(_static(str(row["rights"])) | dynamic.get(_name(row), set())) for row in rows}
    granted = {label(row["role"], row["role_host"]) for row in rights.roles or ()}
    roles = graph((_name(row), label(row["role"], row["role_host"])) for row in rights.roles or ())
    return tuple(_account(row, powers_of(_name(row), own, roles), granted) for row in rows)


def _name(row: Record) -> str:
    return label(row["name"], row["host"])


def _account(row: Record, powers: tuple[Power, ...], granted: Collection[str]) -> Account:
    kinds, plugins = _kinds(row)
    changed = _moment(row["changed_at"])
    lifetime = int(row["lifetime_days"] or 0)
    until = changed + timedelta(days=lifetime) if changed and lifetime > 0 else None
    now = datetime.fromtimestamp(float(row["clock"]), UTC)
    role = bool(row["is_role"]) or (_name(row) in granted and bool(row["locked"]))
    return Account(
        name=row["name"],
        host=row["host"],
        may_login=not row["locked"] and not role,
        role=role,
        system=row["name"] in _SYSTEM,
        kinds=() if role else kinds,
        plugins=plugins,
        no_password=VerifierKind.EMPTY in kinds,
        powers=powers,
        changed_at=changed,
        valid_until=until,
        expired=bool(row["expired"]) or (until is not None and until <= now),
        overlap=bool(row["older"])
        or sum(kind not in (VerifierKind.EXTERNAL, VerifierKind.EMPTY) for kind in kinds) > 1,
        requires_tls=str(row["ssl_type"] or "0") != "0",
        tries=int(row["tries"] or 0) or None,
    )


def _kinds(row: Record) -> tuple[tuple[VerifierKind, ...], tuple[str, ...]]:
    """What lets the account in, and the server's words for it; an empty verifier lets everybody in."""
    more: list[str] = msgspec.json.decode(row["more_plugins"] or "[]", type=list[str])
    plugins = (row["plugin"] or "mysql_native_password", *more)
    kinds = [kind_of(plugin) for plugin in plugins]
    if row["bare"] and kinds[0] is not VerifierKind.EXTERNAL:
        kinds[0] = VerifierKind.EMPTY
    if row["more_bare"]:
        kinds.append(VerifierKind.EMPTY)
    return tuple(kinds), plugins


def _moment(epoch: object) -> datetime | None:
    """MariaDB writes 0 for a password that was expired by hand: when it was changed is forgotten."""
    seconds = float(str(epoch or 0))
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


_MARK = r"(?:'(?:[^'\\]|''|\\.)*'|<secret>|0x[0-9A-F]*)"
_WAY = re.compile(rf"(?:VIA|OR|WITH) '?(?P<plugin>\w+)'?(?: (?:USING|AS) (?P<kept>{_MARK}))?")
_BY = re.compile(rf"IDENTIFIED BY PASSWORD (?P<kept>{_MARK})")


def own(text: str, login: str) -> Account | None:
    """From SHOW CREATE USER of oneself; `login` is CURRENT_USER(). No part of the answer holds its verifier.

    MySQL manual 15.7.7.14, MariaDB "SHOW CREATE USER", which leaves the name mysql_native_password away.
    """
    name, _, host = login.rpartition("@")
    _, identified, rest = text.partition(" IDENTIFIED ")
    rest = rest.partition(" REQUIRE ")[0]
    ways = [(found["plugin"], found["kept"]) for found in _WAY.finditer(rest)]
    native = _BY.search(f"IDENTIFIED {rest}")
    if native is not None:
        ways = [("mysql_native_password", native["kept"])]
    if identified and not ways:
        return None
    kinds = tuple(_kept_as(plugin, kept) for plugin, kept in ways) or (VerifierKind.EMPTY,)
    tries = re.search(r"FAILED_LOGIN_ATTEMPTS (\d+)", text)
    return Account(
        name=name,
        host=host,
        kinds=kinds,
        plugins=tuple(plugin for plugin, _ in ways),
        no_password=VerifierKind.EMPTY in kinds,
        overlap=True if len([kind for kind in kinds if kind.makeable]) > 1 else None,
        tries=(int(tries[1]) or None) if tries else None,
    )


def _kept_as(plugin: str, kept: str | None) -> VerifierKind:
    kind = kind_of(plugin)
    return VerifierKind.EMPTY if kept in (None, "''") and kind is not VerifierKind.EXTERNAL else kind


def _powers(held: set[str]) -> tuple[Power, ...]:
    if held >= _ALL:
        held = (held - _ALL) | {"ALL PRIVILEGES"}
    return tuple(Power(name=name, severity=_severity(name)) for name in sorted(held) if _dangerous(name))


def _static(text: str) -> set[str]:
    """MySQL's list of words, or MariaDB's number."""
    if text.isdigit():
        number = int(text)
        return {name for bit, name in enumerate(_BITS) if number >> bit & 1}
    return set(filter(None, text.split(",")))


def _dangerous(name: str) -> bool:
    return name == "ALL PRIVILEGES" or name in _DANGERS


def _severity(name: str) -> Severity:
    return _DANGERS.get(name, Severity.BAD)


# ---- sessions and who depends ----------------------------------------------------------------


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` of the list of sessions; `now` and `started_at` (of the server) by its clock."""

    rows: Sequence[Record]
    now: datetime
    started_at: datetime


def owners(found: Sequence[Account], rows: Iterable[Record]) -> tuple[dict[Key, list[Record]], int]:
    """The sessions of each account, and how many belong to none that is still there."""
    pairs: list[Pair] = [(one.name, one.host or "") for one in found if not one.role]
    by_account: dict[Key, list[Record]] = {}
    lost = 0
    for row in rows:
        client = _client(row)
        account = chosen(pairs, row["user"] or "", client)
        if account is None:
            lost += 1
        else:
            by_account.setdefault(account, []).append(row)
    return by_account, lost


def _client(row: Record) -> str:
    """`host:port` in information_schema; an IPv6 address is in no brackets there."""
    host = str(row["host"] or "")
    head, _, port = host.rpartition(":")
    return head if port.isdigit() and head and "connection" not in row else host


def logins(one: Account, rows: Sequence[Record], every: Sessions) -> Logins:
    ways = [str(row.get("connection") or "") for row in rows]
    before, exact = _before(one, rows, every)
    return Logins(
        total=len(rows),
        encrypted=sum(way == "SSL/TLS" for way in ways),
        clear=sum(way == "TCP/IP" for way in ways),
        local=sum(way in ("Socket", "Shared Memory", "Named Pipe") for way in ways),
        before=before,
        before_exact=exact,
    )


def _before(one: Account, rows: Sequence[Record], every: Sessions) -> tuple[int | None, bool]:
    """How many sessions are older than the password.

    Neither server tells when a session began, so it is a least number: one that has been in its state
    for longer than the password exists is older, and so is every one with a smaller number, because
    numbers are given in order. It is exact where there is no session, where the password is older than
    the server's start, and where all are proven.
    """
    if not rows or (one.changed_at is not None and one.changed_at <= every.started_at):
        return 0, True
    if one.changed_at is None:
        return None, False
    age = (every.now - one.changed_at).total_seconds()
    proven = [int(row["id"]) for row in every.rows if float(row["seconds"] or 0) > age + _LEAST_SLACK]
    newest = max(proven, default=-1)
    count = sum(int(row["id"]) <= newest for row in rows)
    return count, count == len(rows)


def dependents(rows: Iterable[Record]) -> tuple[Dependent, ...]:
    """Replicas and other readers of the binary log."""
    return tuple(
        Dependent(
            kind="replica",
            name=_client(row),
            address=_client(row),
            user=row["user"],
            breaks=Breaks.RECONNECT,
        )
        for row in rows
        if str(row["command"] or "").startswith("Binlog Dump")
    )


def sources(rows: Iterable[Record]) -> tuple[Dependent, ...]:
    """As whom this replica reads from others; MariaDB's columns are those of SHOW ALL SLAVES STATUS."""
    found = []
    for row in rows:
        name = row.get("name", row.get("Connection_name")) or "the default channel"
        host, port = row.get("address", row.get("Master_Host")), row.get("port", row.get("Master_Port"))
        connected = row.get("state", row.get("Slave_IO_Running")) in ("ON", "Yes")
        found.append(
            Dependent(
                kind="replication source",
                name=str(name),
                user=row.get("username", row.get("Master_User")),
                address=f"{host}:{port}",
                outgoing=True,
                breaks=Breaks.RECONNECT if connected else Breaks.NOW,
                why="" if connected else "it is not connected, and logs in at its next try",
            )
        )
    return tuple(found)


def servers(rows: Iterable[Record]) -> tuple[Dependent, ...]:
    return tuple(
        Dependent(
            kind="federated server",
            name=row["name"],
            user=row["username"] or None,
            address=f"{row['address']}:{row['port']}",
            outgoing=True,
            breaks=Breaks.NOW,
            why="a federated table logs in when it is opened",
        )
        for row in rows
    )
