"""A server without a free slot: whoever was there before can still look, and still act."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import actions
from console.audit.ledger import open_ledger
from console.dispatch.action import Approval
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.dispatch.scratch import ScratchServer, scratch_postgres
from console.engine.open import open_engine
from console.errors import Unreachable
from console.model.policy import Policy
from console.model.target import EngineKind, Environment, Login, Target
from tests.servers.postgres import PostgresServer

ROLES = """
create role dbdeck_monitor login in role pg_monitor;
create role dbdeck_operator login in role pg_monitor, pg_signal_backend;
create role app login;
"""


@pytest_asyncio.fixture
async def small(postgres18: PostgresServer) -> AsyncIterator[ScratchServer]:
    """Twelve slots, three of them for superusers."""
    settings = {"max_connections": "12", "superuser_reserved_connections": "3", "fsync": "off"}
    async with scratch_postgres(binaries=postgres18.binaries, settings=settings) as server:
        admin = await connect(server, server.superuser)
        await admin.execute(ROLES)
        await admin.close()
        yield server


async def connect(server: ScratchServer, user: str) -> asyncpg.Connection[Any]:
    return await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=user, database="postgres", ssl=False
    )


def target(server: ScratchServer) -> Target:
    return Target(
        name="small",
        engine=EngineKind.POSTGRES,
        host=str(server.socket_dir),
        port=server.port,
        database="postgres",
        environment=Environment.DEV,
        monitor=Login(user="dbdeck_monitor"),
        operator=Login(user="dbdeck_operator"),
    )


async def test_with_all_slots_taken_the_warm_connections_still_end_a_session(
    small: ScratchServer, tmp_path: Path
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal")
    clients = []
    async with ledger as opened, open_engine(target(small)) as engine:
        dispatcher = Dispatcher(Registry(actions.ALL), opened, Policy())
        await engine.sessions()
        await dispatcher.lifeboat(engine.target).keep()
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while True:
                clients.append(await connect(small, "app"))
        with pytest.raises(Unreachable, match="no connection slot left"):
            async with open_engine(target(small)) as late:
                await late.sessions()
        pid = clients[0].get_server_pid()
        session = await engine.session(pid)
        assert session is not None
        plan = await dispatcher.plan(
            "session.terminate", engine, {"id": pid, "started_at": session.started_at}
        )
        run = await dispatcher.apply(plan, engine, Approval(reason="no slot left"))
        assert run.effect == "applied"
        await dispatcher.close()
    for client in clients:
        client.terminate()
    await asyncio.sleep(0)
