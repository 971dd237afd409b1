"""Who stands in the way of work on a table, and whom that work would keep waiting."""

from __future__ import annotations

import msgspec

from console.model.sessions import Session


class TableLock(msgspec.Struct, frozen=True, kw_only=True):
    """A session's lock on one table (or index), held or waited for.

    `table` is its key (`schema.name`), `number` its oid (PostgreSQL); `mode` in the server's word. `index`
    names the index when the lock is on one of them, `part` the partition or the TOAST table (PostgreSQL).
    """

    session: Session
    table: str
    number: int = 0
    index: str = ""
    part: str = ""
    toast: bool = False
    mode: str
    granted: bool


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What maintenance must not push over a limit: statements running now, and how far replicas are behind.

    `running` counts active client sessions without ours. `lag_seconds` and `lag_bytes` are of the
    replica that is furthest behind, `replica` its name; None where there is none or it is not known, and
    `why` says which. `halted`: this one has a source and does not replicate. `unasked`: connections that read
    the binary log of a server that does not know its replicas, beyond the replicas that were asked.
    """

    running: int
    lag_seconds: float | None = None
    lag_bytes: int | None = None
    replica: str = ""
    why: str = ""
    halted: bool = False
    unasked: int = 0


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Where a table's files lie, how much is free there and how large the file system is, in bytes; `why`
    says why it is not known.
    """

    place: str = ""
    free: int | None = None
    size: int | None = None
    why: str = ""
