"""A desk on a server whose backups go somewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from console.audit.ledger import open_ledger
from console.config import parse
from console.engine.open import open_engine
from tests.integration.actions.conftest import Desk
from tests.servers.fleet import Server
from tests.servers.postgres import PostgresServer


@asynccontextmanager
async def taking_desk(
    server: Server, folder: Path, source: dict[str, Any], binaries: str | None = None, **over: Any
) -> AsyncIterator[Desk]:
    """Backups go into `folder`/backups, by the programs of the server itself."""
    (folder / "backups").mkdir(exist_ok=True)
    drills = {
        "binaries": str(server.binaries) if isinstance(server, PostgresServer) else binaries,
        "sources": {"s": {"path": str(folder / "backups"), **source}},
    }
    config = {"targets": {"t": server.target_dict(**over)}, "drills": {"targets": {"t": drills}}}
    target = parse(yaml.safe_dump(config)).target("t")
    async with (
        open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger,
        open_engine(target) as engine,
    ):
        made = Desk(server, engine, ledger)
        try:
            yield made
        finally:
            await made.dispatcher.close()
