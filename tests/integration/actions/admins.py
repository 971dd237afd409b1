"""The administrator's way to a test server: its superuser, over the socket, without a password."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import actions
from console.audit.ledger import open_ledger
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.model.policy import Policy
from tests.fakes import MemoryStore
from tests.integration.actions.conftest import Desk, superuser
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.targets import target_of

SMALL = "DBDECK_TEST_SMALL"


def over_for_admin(server: Server, user: str = "") -> dict[str, Any]:
    word = {"password": f"env:{SMALL}"} if user else {}
    name = {"user": user or server.superuser, **word}
    host = str(server.socket) if isinstance(server, MysqlServer) else server.host
    return {"host": host, "monitor": name, "operator": dict(name)}


async def small_admin(server: Server, *grants: str, role: str = "") -> str:
    """Somebody who may do no more than these; the password is in the variable SMALL."""
    name, word = new_name(), os.environ[SMALL]
    if isinstance(server, MysqlServer):
        granted = [f"grant {one} to {name}@'%'" for one in grants]
        await superuser(server, f"create user {name}@'%' identified by '{word}'", *granted)
    else:
        await superuser(server, f"create role {name} login password '{word}' {role}")
    return name


class Office(Desk):
    """A desk with a store in memory."""

    store: MemoryStore


@asynccontextmanager
async def office_on(server: Server, folder: Path, **over: Any) -> AsyncIterator[Office]:
    async with (
        open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger,
        open_engine(target_of(server, **(over_for_admin(server) | over))) as engine,
    ):
        made = Office(server, engine, ledger)
        made.store = MemoryStore()
        made.dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy(), store=made.store)
        try:
            yield made
        finally:
            await made.dispatcher.close()


def new_name() -> str:
    return f"new_{uuid4().hex[:8]}"


async def drop(server: Server, name: str, host: str = "%") -> None:
    mysql = isinstance(server, MysqlServer)
    await superuser(
        server, f"drop user if exists {name}@'{host}'" if mysql else f"drop role if exists {name}"
    )
