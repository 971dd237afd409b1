"""The operator's connection, kept warm for the moment when a server takes nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from console.engine.open import open_operator
from console.engine.port import OperatorConnection
from console.errors import Unreachable
from console.model.target import Target

Opener = Callable[[Target], AbstractAsyncContextManager[OperatorConnection]]


class Lifeboat:
    """One operator connection, opened at start and kept: a server that takes nobody else knows us still."""

    def __init__(self, target: Target, opener: Opener = open_operator) -> None:
        self.target = target
        self._open = opener
        self._context: AbstractAsyncContextManager[OperatorConnection] | None = None
        self._connection: OperatorConnection | None = None
        self._lock = asyncio.Lock()

    async def launch(self) -> OperatorConnection:
        """Raises the errors of open_operator; a second call gives the same connection."""
        if self._connection is None:
            context = self._open(self.target)
            self._connection = await context.__aenter__()
            self._context = context
        return self._connection

    async def keep(self, *, anew: bool = False) -> None:
        """See that it is afloat, before it is needed; `anew` where another server answers now, while that of
        the connection may answer as well. Raises the errors of open_operator.
        """
        async with self._lock:
            if anew:
                await self.sink()
            await self._afloat()

    async def _afloat(self) -> OperatorConnection:
        try:
            if self._connection is not None:
                await self._connection.identity()
        except Unreachable:
            await self.sink()
        return await self.launch()

    @asynccontextmanager
    async def board(self) -> AsyncIterator[OperatorConnection]:
        """The warm connection if it still answers, else a new one; one user at a time."""
        async with self._lock:
            yield await self._afloat()

    async def sink(self) -> None:
        context, self._context, self._connection = self._context, None, None
        if context is not None:
            await context.__aexit__(None, None, None)
