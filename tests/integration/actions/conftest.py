"""A desk: the dispatcher with a ledger of the test, on a real server, with the shop's sessions on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import actions
from actions import following
from console.audit.ledger import Ledger, open_ledger
from console.dispatch.action import Approval, Plan, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.blocking import BlockingTree
from console.model.policy import Policy
from console.model.sessions import Session
from tests.command import Command
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Scene, scene
from tests.targets import target_of

SECONDS = 15.0


class Desk:
    """Plans and runs actions on one server."""

    def __init__(self, server: Server, engine: Engine, ledger: Ledger) -> None:
        self.server = server
        self.engine = engine
        self.ledger = ledger
        self.dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy())

    async def plan(self, action: str, /, **given: Any) -> Plan:
        return await self.dispatcher.plan(action, self.engine, given)

    async def apply(self, plan: Plan, **options: Any) -> Run:
        options.setdefault("watch", Watch(seconds=5.0))
        return await self.dispatcher.apply(plan, self.engine, Approval(reason="a test"), **options)

    async def run(self, action: str, /, **given: Any) -> Run:
        return await self.apply(await self.plan(action, **given))

    async def kinds(self) -> list[str]:
        """Of the ledger's rows, in their order."""
        found = await self.ledger.entries(newest_first=False)
        return [one.kind for one in found if one.kind not in ("open", "close")]

    async def session(self, number: int) -> Session:
        found = await self.engine.session(number)
        assert found is not None
        return found

    async def key(self, number: int) -> dict[str, Any]:
        found = await self.session(number)
        assert found.started_at is not None
        return {"id": number, "started_at": found.started_at.isoformat()}

    async def waiting(self, *numbers: int) -> BlockingTree:
        """The wait graph as soon as all of them wait in it."""
        found = BlockingTree()

        async def all_wait() -> bool:
            nonlocal found
            found = await self.engine.locks()
            waiting = {node.session.id for node in found if node.blocked_by}
            return waiting.issuperset(numbers)

        await until(all_wait)
        return found

    async def running(self, number: int) -> None:
        """Returns as soon as that session runs a statement."""

        async def runs() -> bool:
            return (await self.session(number)).state == "active"

        await until(runs)

    async def nobody_waits(self) -> None:
        async def drained() -> bool:
            return not await self.engine.locks()

        await until(drained)

    @property
    def mysql(self) -> bool:
        return isinstance(self.server, MysqlServer)

    async def as_superuser(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """The rows of the last one."""
        return await superuser(self.server, *statements, database=database)


async def superuser(server: Server, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    if isinstance(server, MysqlServer):
        connection = await server.connect(database=database)
        try:
            async with connection.cursor() as cursor:
                for sql in statements:
                    await cursor.execute(sql)
                    rows = list(await cursor.fetchall())
        finally:
            connection.close()
        return rows
    plain = await server.connect(database=database or "postgres")
    try:
        for sql in statements:
            rows = [tuple(row) for row in await plain.fetch(sql)]
    finally:
        await plain.close()
    return rows


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


@asynccontextmanager
async def desk_on(server: Server, folder: Path, **over: Any) -> AsyncIterator[Desk]:
    async with (
        open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger,
        open_engine(target_of(server, **over)) as engine,
    ):
        made = Desk(server, engine, ledger)
        try:
            yield made
        finally:
            await made.dispatcher.close()


@pytest_asyncio.fixture
async def desk(any_server: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on(any_server, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest.fixture
def command(any_server: Server, tmp_path: Path) -> Command:
    return Command(tmp_path, {"t": any_server.target_dict()})


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back after the quiet is a test of its own."""
    monkeypatch.setattr(following, "QUIET_SECONDS", 0.6)
