"""Prepared XA transactions: their names, and what is left of them without a session. Pure.

Nothing relates a name of XA RECOVER to a row of INNODB_TRX; InnoDB's report tells of which sessions the
transaction is prepared. While the session that prepared one is
connected only it can end it (others get XAER_NOTA); MySQL detaches it at once where
xa_detach_on_prepare is ON (the default since 8.0.29).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from console.engine.mysql.rows import Transaction
from console.model.sessions import Session, State
from console.model.transactions import OpenTransaction

Record = Mapping[str, Any]
PREPARED = "prepared XA transaction"
RECOVERED = "transaction recovered after a crash"
_LISTED = 5


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Names of prepared XA transactions as XA ROLLBACK takes them: `free` ones, and those of connected
    sessions where that is told. `known` is False where the list may not be read. `shared` connected sessions
    have one of the free names, and nothing tells which.
    """

    free: tuple[str, ...] = ()
    connected: Mapping[int, str] = {}
    known: bool = True
    shared: int = 0


def xid(row: Record) -> str:
    """One row of XA RECOVER as the literal that XA ROLLBACK and XA COMMIT take."""
    data = str(row["data"])
    if not data.startswith("0x"):
        return data  # MariaDB's FORMAT = 'SQL' is that literal
    cut = 2 + 2 * int(row["gtrid_length"])
    return _literal(data[2:cut], data[cut:], row["formatID"])


def session_xid(row: Record) -> str:
    """A row of events_transactions_current as the same literal: text where it is readable, else 0x…"""
    return _literal(_hex(row["gtrid"]), _hex(row["bqual"]), row["format_id"])


def _literal(gtrid: str, bqual: str, format_id: object) -> str:
    return f"X'{gtrid.upper()}',X'{bqual.upper()}',{format_id}"


def _hex(shown: str | None) -> str:
    text = shown or ""
    return text[2:] if text.startswith("0x") else text.encode().hex()


def names(rows: Iterable[Record] | None, sessions: Iterable[Record] = ()) -> Names:
    if rows is None:
        return Names(known=False)
    listed = [xid(row) for row in rows]
    connected = {int(row["session_id"]): session_xid(row) for row in sessions}
    connected = {session: name for session, name in connected.items() if name in listed}
    left = sorted(set(listed) - set(connected.values()))
    return Names(free=tuple(left), connected=connected)


def of_sessions(names: Names, sessions: Collection[int]) -> Names:
    """With the idle sessions whose transaction InnoDB's report calls prepared."""
    untold = sorted(set(sessions) - set(names.connected))
    name = which_xid(names.free)
    if name is None or not untold:
        return names
    sure = len(names.free) == len(untold) == 1
    return Names(
        free=() if sure else names.free,
        connected={**names.connected, **dict.fromkeys(untold, name)},
        shared=0 if sure else len(untold),
    )


def shell_word(name: str) -> str:
    """One word for a shell. Around the quotes of an xid double ones are easier to read than shlex.quote's."""
    plain = not set(name) & set('"$`\\!')
    return f'"{name}"' if plain and "'" in name else shlex.quote(name)


def which_xid(xids: Sequence[str]) -> str | None:
    """It is sure only where there is one."""
    found = sorted(xids)
    if len(found) < 2:
        return found[0] if found else None
    return f"one of {'; '.join(found[:_LISTED])}" + ("; …" if found[_LISTED:] else "")


def node(found: Transaction, names: Names) -> Session:
    """A transaction without a session as a node of the graph: nothing can be killed."""
    instant = datetime.fromtimestamp(found.started, UTC)
    return Session(
        id=0,
        started_at=instant,
        kind=RECOVERED if found.rolling_back else PREPARED,
        state=State.BACKGROUND if found.rolling_back else State.PREPARED,
        transaction_seconds=found.seconds,
        transaction_started_at=instant,
        rows_modified=found.rows_modified,
        prepared=None if found.rolling_back else which_xid(names.free),
    )


def resolution(names: Names) -> str | None:
    """What ends a prepared one: exact where there is one name, else the choice."""
    found = [f"XA ROLLBACK {name}" for name in names.free]
    if len(found) < 2:
        return found[0] if found else None
    return f"one of {'; '.join(found[:_LISTED])}" + ("; …" if found[_LISTED:] else "")


def rowless(names: Names, detached: int) -> list[OpenTransaction]:
    """Names beyond the detached transactions that InnoDB shows: they changed nothing there, or belong to
    a session that is still connected, and then only that one can end them.
    """
    spare = len(names.free) - detached - names.shared
    if spare <= 0:
        return []
    each = names.free if detached == 0 else (None,) * spare
    return [_rowless(names if name is None else Names(free=(name,))) for name in each]


def _rowless(names: Names) -> OpenTransaction:
    session = Session(
        id=0,
        started_at=None,
        kind=f"{PREPARED}, of a connected session or without changes in InnoDB",
        state=State.PREPARED,
        prepared=which_xid(names.free),
    )
    return OpenTransaction(session=session, resolve=resolution(names))
