"""What dbdeck's two logins need on a server: the least rights, an engine and a version at a time. Pure.

`docs/privileges.md` prints the same, `dbdeck init` shows it, and `account.create` grants it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

EVERYTHING = "*.*"
POSTGRESQL = "postgresql"


class Purpose(StrEnum):
    """Who looks, and who acts."""

    MONITOR = "monitor"
    OPERATOR = "operator"


DEFAULT_NAMES = {Purpose.MONITOR: "dbdeck_monitor", Purpose.OPERATOR: "dbdeck_operator"}


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """`names` are privileges on `on`; where that is empty, roles to be a member of (PostgreSQL).

    `why` is for people.
    """

    names: tuple[str, ...]
    on: str = ""
    why: str = ""

    @property
    def each(self) -> Iterator[tuple[str, str]]:
        """(privilege or role, what it is on), one by one."""
        return ((name, self.on) for name in self.names)


_SEES = "sessions, transactions and row locks"
_POSTGRES = {
    Purpose.MONITOR: (Right(names=("pg_monitor",), why="sees every session; ends none"),),
    Purpose.OPERATOR: (
        Right(names=("pg_monitor", "pg_signal_backend"), why="ends sessions of all but superusers"),
    ),
}
_STATISTICS = (
    Right(names=("SELECT",), on="mysql.innodb_table_stats", why="when statistics were collected"),
    Right(names=("SELECT",), on="mysql.innodb_index_stats", why="how large indexes are"),
)
_SCHEMA = Right(names=("SELECT",), on="performance_schema.*", why="program names and metadata locks")
_PROCESS = Right(names=("PROCESS",), on=EVERYTHING, why=_SEES)
_MYSQL = {
    Purpose.MONITOR: (
        _PROCESS,
        _SCHEMA,
        Right(names=("XA_RECOVER_ADMIN",), on=EVERYTHING, why="optional: names of prepared XA transactions"),
        Right(
            names=("REFERENCES", "REPLICATION CLIENT"),
            on=EVERYTHING,
            why="tables and indexes; lag of a replica",
        ),
        *_STATISTICS,
    ),
    Purpose.OPERATOR: (
        Right(names=("PROCESS", "CONNECTION_ADMIN"), on=EVERYTHING, why="ends sessions"),
        _SCHEMA,
    ),
}
_MARIADB = {
    Purpose.MONITOR: (
        _PROCESS,
        _SCHEMA,
        Right(
            names=("REFERENCES", "SLAVE MONITOR"), on=EVERYTHING, why="tables and indexes; lag of a replica"
        ),
        *_STATISTICS,
    ),
    Purpose.OPERATOR: (
        Right(names=("PROCESS", "CONNECTION ADMIN"), on=EVERYTHING, why="ends sessions"),
        _SCHEMA,
    ),
}
_BEFORE_DYNAMIC = 80000  # MySQL 5.7 has neither CONNECTION_ADMIN nor XA_RECOVER_ADMIN
_BEFORE_SPLIT = 100502  # MariaDB 10.5.2 took CONNECTION ADMIN and others out of SUPER
_BEFORE_MONITOR = 100509  # and 10.5.9 SLAVE MONITOR out of REPLICATION SLAVE ADMIN


def rights(purpose: Purpose, flavor: str, version: int) -> tuple[Right, ...]:
    """Of a login on a server of this flavour and numeric version."""
    if flavor == POSTGRESQL:
        return _POSTGRES[purpose]
    if flavor == "mysql":
        return tuple(_older(one, version < _BEFORE_DYNAMIC) for one in _MYSQL[purpose] if _kept(one, version))
    return tuple(_of_mariadb(one, version) for one in _MARIADB[purpose])


def _of_mariadb(right: Right, version: int) -> Right:
    if _BEFORE_SPLIT <= version < _BEFORE_MONITOR and "SLAVE MONITOR" in right.names:
        names = tuple("REPLICATION SLAVE ADMIN" if one == "SLAVE MONITOR" else one for one in right.names)
        return msgspec.structs.replace(right, names=names)
    return _older(right, version < _BEFORE_SPLIT)


def _kept(right: Right, version: int) -> bool:
    return version >= _BEFORE_DYNAMIC or right.names != ("XA_RECOVER_ADMIN",)


_FORMER = {"CONNECTION_ADMIN": "SUPER", "CONNECTION ADMIN": "SUPER", "SLAVE MONITOR": "REPLICATION CLIENT"}


def _older(right: Right, old: bool) -> Right:
    """By the names of before those privileges were split."""
    if not old:
        return right
    return msgspec.structs.replace(right, names=tuple(_FORMER.get(name, name) for name in right.names))


def missing(wanted: Sequence[Right], held: frozenset[tuple[str, str]]) -> tuple[Right, ...]:
    """What of it is not held; (name, on) as in `Right`. A privilege on everything is one on each thing."""
    left = []
    for right in wanted:
        names = tuple(name for name, on in right.each if not _covered(name, on, held))
        if names:
            left.append(msgspec.structs.replace(right, names=names))
    return tuple(left)


def _covered(name: str, on: str, held: frozenset[tuple[str, str]]) -> bool:
    schema = f"{on.partition('.')[0]}.*"
    return any((name, place) in held for place in (on, schema, EVERYTHING)) if on else (name, "") in held
