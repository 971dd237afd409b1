"""A process that records actions as fast as it can, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

from console.audit.ledger import open_ledger
from console.audit.record import Kind
from console.secrets import Secret


async def main(url: str, journal: str, password: str) -> None:
    secret = Secret(password) if password else None
    async with open_ledger(url, Path(journal), password=secret) as ledger:
        sys.stdout.write(f"{ledger.writer}\n")
        sys.stdout.flush()
        while True:
            action = uuid4()
            await ledger.append(Kind.INTENT, action, {"x": "y" * 2000})
            await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.stdin.readline().strip()))
