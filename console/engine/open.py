"""The context managers that own every connection to a target. Drivers are imported when used."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from console.engine.port import Engine, OperatorConnection
from console.errors import Refused
from console.model.target import EngineKind, Login, Target
from console.os_user import os_user


class _Opened(Engine, Protocol):
    async def close(self) -> None: ...


@asynccontextmanager
async def open_engine(target: Target) -> AsyncIterator[Engine]:
    """The reads of a target. It connects at the first read, so that a dead server can be shown too."""
    if target.engine is EngineKind.POSTGRES:
        from console.engine.postgres.engine import PostgresEngine

        engine: _Opened = PostgresEngine(target)
    else:
        from console.engine.mysql.engine import MysqlEngine

        engine = MysqlEngine(target)
    try:
        yield engine
    finally:
        await engine.close()


class Engines:
    """The reads of many targets. All are closed at once: a goodbye to a server that hangs takes its time."""

    def __init__(self) -> None:
        self._opened: dict[str, Engine] = {}
        self._ends: list[AsyncExitStack] = []

    async def of(self, target: Target) -> Engine:
        if target.name not in self._opened:
            end = AsyncExitStack()
            self._opened[target.name] = await end.enter_async_context(open_engine(target))
            self._ends.append(end)
        return self._opened[target.name]

    async def aclose(self) -> None:
        """Raises what one of them ended in, after all have ended."""
        ended = await asyncio.gather(*(end.aclose() for end in self._ends), return_exceptions=True)
        for one in ended:
            if isinstance(one, BaseException):
                raise one


@asynccontextmanager
async def open_operator(target: Target) -> AsyncIterator[OperatorConnection]:
    """One pinned connection with the operator's identity; only `console.dispatch` may name this.

    Raises Refused for a read-only target, and the Unreachable errors of a connection.
    """
    login = target.operator
    if login is None:
        raise Refused(
            f"{target.name} is read-only: its config has no `operator` login; nothing was executed",
            "add `operator: {user: …, password: …}` to the target",
        )
    if target.engine is EngineKind.POSTGRES:
        async with _postgres_operator(target, login) as operator:
            yield operator
    else:
        async with _mysql_operator(target, login) as operator:
            yield operator


@asynccontextmanager
async def _postgres_operator(target: Target, login: Login) -> AsyncIterator[OperatorConnection]:
    from console.engine.postgres.driver import OPERATOR_LIMITS, close, connect
    from console.engine.postgres.engine import identify
    from console.engine.postgres.operator import PostgresOperator

    connection = await connect(target, login, limits=OPERATOR_LIMITS, purpose=f"operator {whoami()}")
    try:
        operator = PostgresOperator(target, connection, await identify(connection, target))
        await operator.warm()
        yield operator
    finally:
        await close(connection)


@asynccontextmanager
async def _mysql_operator(target: Target, login: Login) -> AsyncIterator[OperatorConnection]:
    from console.engine.mysql.operator import MysqlOperator

    operator = await MysqlOperator.connect(target, login, purpose=f"operator {whoami()}")
    try:
        yield operator
    finally:
        await operator.close()


def whoami() -> str:
    """The person as this machine's kernel knows them: a claim, shown to others who meet our lock."""
    return f"{os_user()}@{socket.gethostname()}"[:40]
