"""A process that breaks the glass and leaves an intent open, or that is killed while it merges."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import uuid4

from console.audit import merge
from console.audit.glass import Terms, open_glass
from console.audit.ledger import open_ledger
from console.audit.record import Entry, Kind, Row
from console.audit.table.port import Table
from console.secrets import Secret

TERMS = Terms(reason="the shop is down", target="shop", operator="ann", allowed_by={}, seconds=60.0)


async def act(url: str, journal: str, secret: Secret | None) -> None:
    async with open_glass(url, Path(journal), TERMS, password=secret, deadline=1.0) as ledger:
        await ledger.append(Kind.INTENT, uuid4(), {"action": "session.terminate", "target": "shop"})
        sys.stdout.write("intent\n")
        sys.stdout.flush()
        await asyncio.sleep(60)


async def merging(url: str, journal: str, secret: Secret | None, file: str, rows: int) -> None:
    """Dies after so many rows were sent, before their receipts are written."""
    send = merge._send

    async def counted(path: Path, row: Row, table: Table) -> Entry:
        entry = await send(path, row, table)
        if row.seq == rows:
            os.kill(os.getpid(), signal.SIGKILL)
        return entry

    merge._send = counted
    async with open_ledger(url, Path(journal), password=secret) as ledger:
        await ledger.merge(Path(file))


if __name__ == "__main__":
    mode, url, journal, *more = sys.argv[1:]
    password = sys.stdin.readline().strip()
    secret = Secret(password) if password else None
    if mode == "act":
        asyncio.run(act(url, journal, secret))
    else:
        asyncio.run(merging(url, journal, secret, more[0], int(more[1])))
