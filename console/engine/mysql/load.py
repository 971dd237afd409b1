"""How busy the server is, and how far it is behind where it is a replica."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from console.engine.mysql.link import Link
from console.engine.mysql.look import look_at_all
from console.engine.mysql.rows import account_literal
from console.errors import PrivilegeMissing
from console.model.overview import REPLICA_UNKNOWN
from console.model.sessions import Protection, Session, State
from console.model.table_locks import Load

if TYPE_CHECKING:
    from console.engine.mysql.followers import Followers

Record = Mapping[str, Any]
_ON_A_SOURCE = (
    "a source does not know how far its replicas are behind: make them targets with `replica_of` among their "
    "labels"
)


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """Behind its source; None where that is not known or it has none (`source`), and `why`. `halted`: it has
    one, and does not replicate.
    """

    seconds: float | None = None
    replica: str = ""
    why: str = ""
    source: bool = False
    halted: bool = False


async def load(link: Link, followers: Followers | None = None) -> Load:
    """Of a source whose replicas are known the lag is theirs; of a replica it is its own, or theirs where one
    is further behind. One that is not known is None, with a reason. Raises PrivilegeMissing where sessions
    are hidden.
    """
    async with link.lock:
        seen = await look_at_all(link)
        found = await lag(link)
        number = await server_id(link) if followers is not None else 0
    if followers is not None:  # without the lock: a replica that hangs keeps nobody from reading the source
        theirs = await followers.lag(number)
        found = theirs if found.source else furthest((found, theirs))
    return Load(
        running=running(seen.sessions),
        lag_seconds=found.seconds,
        replica=found.replica,
        why=found.why,
        halted=found.halted,
        unasked=max(0, streams(seen.sessions) - (len(followers) if followers is not None else 0)),
    )


async def server_id(link: Link) -> int:
    """By which number its replicas name it as their source. Raises an Unreachable error."""
    return int((await link.fetch("server_id", "its number"))[0]["id"])


async def lag(link: Link, source: int | None = None) -> Lag:
    """`source`: only behind the server of that number. Raises an Unreachable error, but for a missing
    privilege, which is a reason.
    """
    _, identity = await link.connected()
    try:
        rows = await link.fetch("replication", "replication")
    except PrivilegeMissing:
        right = "SLAVE MONITOR" if identity.flavor == "mariadb" else "REPLICATION CLIENT"
        needed = f"GRANT {right} ON *.* TO {account_literal(identity.user)};"
        return Lag(why=f"{REPLICA_UNKNOWN}: {needed}")
    if source is not None:
        rows = from_server(rows, source)
    if not rows:
        return Lag(why=_ON_A_SOURCE, source=True)
    if (stopped := halt(rows)) is not None:
        return Lag(replica=channel(stopped), why=halted_words(stopped), halted=True)
    seconds, name = behind(rows)
    return Lag(seconds=seconds, replica=name)


# ---- pure --------------------------------------------------------------------------------------


def running(sessions: Iterable[Session]) -> int:
    """Statements of clients that run now: Threads_running without dbdeck and without the server's own."""
    return sum(one.state is State.ACTIVE and one.protection is not Protection.OWN for one in sessions)


def streams(sessions: Iterable[Session]) -> int:
    """Connections that read the binary log: replicas, and others that copy what changes."""
    return sum(one.protection is Protection.WALSENDER for one in sessions)


def furthest(found: Sequence[Lag]) -> Lag:
    """One that is not known stands for all: it may be further behind."""
    unknown = next((one for one in found if one.seconds is None), None)
    return unknown or max(found, key=lambda one: one.seconds or 0.0)


def from_server(rows: Iterable[Record], number: int) -> list[dict[str, Any]]:
    """Channels from that server; one that never connected does not know from whom, and may be of it."""
    known = ("Source_Server_Id", "Master_Server_Id")
    return [dict(row) for row in rows if int(_said(row, *known) or 0) in (0, number)]


def behind(rows: Iterable[Record]) -> tuple[float, str]:
    """(seconds, channel) of the source it is furthest behind; each of them runs."""
    return max(
        (float(_said(row, "Seconds_Behind_Source", "Seconds_Behind_Master")), channel(row)) for row in rows
    )


def halt(rows: Iterable[Record]) -> Record | None:
    """The first channel that does not run: it has no lag (MySQL manual 15.7.7.35 "SHOW REPLICA STATUS")."""
    stopped = (row for row in rows if _said(row, "Seconds_Behind_Source", "Seconds_Behind_Master") is None)
    return next(stopped, None)


def channel(row: Record) -> str:
    return str(row.get("Channel_Name") or row.get("Connection_name") or "")


def halted_words(row: Record) -> str:
    """Which of its two halves does not run, and its error's number; the error's text has values of rows."""
    name = channel(row)
    halves = (
        ("the receiver", _said(row, "Replica_IO_Running", "Slave_IO_Running"), row.get("Last_IO_Errno")),
        ("the applier", _said(row, "Replica_SQL_Running", "Slave_SQL_Running"), row.get("Last_SQL_Errno")),
    )
    why = [_half(half, running, int(error or 0)) for half, running, error in halves if running != "Yes"]
    return f"replication does not run{f' on {name}' if name else ''}{': ' if why else ''}{', '.join(why)}"


def _half(half: str, running: object, error: int) -> str:
    state = "does not reach its source" if running in ("Connecting", "Preparing") else "is stopped"
    return f"{half} {state}{f' (error {error})' if error else ''}"


def _said(row: Record, *names: str) -> Any:
    """By whichever name the version gives it."""
    return next((row[name] for name in names if name in row), None)
