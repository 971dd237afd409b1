"""Ways in which a ledger's table is out of reach, and back again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink

ON_SERVERS = ("stopped", "dropped", "read-only", "down")
ON_SQLITE = ("locked", "dropped")


@contextlib.asynccontextmanager
async def outage(sink: Sink, how: str = "dropped") -> AsyncIterator[None]:
    """`stopped` is SIGSTOP, `down` a server that is not there until it is started again."""
    if how == "locked" and isinstance(sink, SqliteSink):
        with contextlib.closing(sqlite3.connect(sink.path, isolation_level=None)) as locker:
            locker.execute("begin immediate")
            yield
        return
    if how == "stopped" and isinstance(sink, PostgresSink | MysqlSink):
        pids = _processes(sink)
        try:
            await _stop(pids)
            yield
        finally:
            for pid in pids:
                _send(pid, signal.SIGCONT)
        return
    if how == "down" and isinstance(sink, PostgresSink | MysqlSink):
        await asyncio.to_thread(sink.server.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(sink.server.start)
        return
    away, back = _statements(sink, how)
    await sink.execute(*away)
    try:
        yield
    finally:
        await sink.execute(*back)


def _send(pid: int, number: signal.Signals) -> None:
    """To a child of the server, which may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def _stop(pids: list[int]) -> None:
    """On a busy machine the last thread stops some time after the signal was sent."""
    for pid in pids:
        _send(pid, signal.SIGSTOP)
    while not all(map(_stands, pids)):
        await asyncio.sleep(0.01)


def _stands(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        states = [
            one.read_text().rpartition(")")[2].split()[0] for one in Path(f"/proc/{pid}/task").glob("*/stat")
        ]
        return set(states) <= set("TtZX")
    return True


def _processes(sink: PostgresSink | MysqlSink) -> list[int]:
    """The server, and the children of PostgreSQL's."""
    top = sink.server.pid if isinstance(sink, MysqlSink) else sink.server.scratch.pid
    assert top is not None
    children = Path(f"/proc/{top}/task/{top}/children").read_text().split()
    return [top, *map(int, children)]


def _statements(sink: Sink, how: str) -> tuple[list[str], list[str]]:
    if isinstance(sink, PostgresSink):
        if how == "dropped":
            return ["alter schema dbdeck_audit rename to away"], ["alter schema away rename to dbdeck_audit"]
        on = f"alter database {sink.database} set default_transaction_read_only = on"
        return [on], ["set default_transaction_read_only = off", f"alter database {sink.database} reset all"]
    if how == "dropped":
        return ["alter table entry rename to away"], ["alter table away rename to entry"]
    return ["set global read_only = 1"], ["set global read_only = 0"]
