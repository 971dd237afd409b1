"""A connection to a ledger's server that is dialled again when it was lost."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from console.audit.table.port import Fields, NotTaken, Undecided

C = TypeVar("C")
GOODBYE_SECONDS: Final = 0.3  # after the writer's own: a console is left within a second


class Channel(abc.ABC, Generic[C]):
    """One call at a time, each within the deadline (seconds), on an autocommit connection.

    `holding` is a statement that takes a session lock and returns true; it is asked for again after
    each reconnect until it is granted, because the server may take a while to bury the old session.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.holding = ""
        self._held = False
        self._connection: C | None = None
        self._turn = asyncio.Lock()

    async def fetch(self, sql: str, *args: object) -> Sequence[Fields]:
        """Raises NotTaken when the statement was never sent, Undecided when its answer got lost, and
        the driver's own error when the server refused it."""
        async with self._turn:
            connection = await self._connected()
            return await self._ask(connection, sql, *args)

    @property
    def busy(self) -> bool:
        return self._turn.locked()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self.hang_up(connection)

    async def _connected(self) -> C:
        if self._connection is None or not self._is_open(self._connection):
            await self.close()
            self._held = False
            self._connection = await self.dial()
        if self.holding and not self._held:
            await self._hold(self._connection)
        return self._connection

    async def _hold(self, connection: C) -> None:
        try:
            rows = await self._ask(connection, self.holding)
        except Undecided as error:
            raise NotTaken(str(error)) from None
        self._held = bool(rows[0]["held"])

    async def _ask(self, connection: C, sql: str, *args: object) -> Sequence[Fields]:
        try:
            async with asyncio.timeout(self.deadline):
                return await self._run(connection, sql, *args)
        except TimeoutError:
            self._drop(connection)
            raise Undecided(f"no answer in {self.deadline:g} s") from None
        except Exception as error:
            if not self._is_lost(error):
                raise
            self._drop(connection)
            raise Undecided(f"the connection was lost: {error}") from None
        except BaseException:  # cancelled: an answer may still be under way
            self._drop(connection)
            raise

    def _drop(self, connection: C) -> None:
        self._connection = None
        self.abort(connection)

    @abc.abstractmethod
    async def dial(self) -> C:
        """A new connection within the deadline. Raises NotTaken with the reason."""

    @abc.abstractmethod
    async def _run(self, connection: C, sql: str, *args: object) -> Sequence[Fields]: ...

    @abc.abstractmethod
    async def hang_up(self, connection: C) -> None:
        """Say goodbye; GOODBYE_SECONDS at most, never raises."""

    @abc.abstractmethod
    def abort(self, connection: C) -> None:
        """Free the socket now, whatever state it is in; never raises."""

    @abc.abstractmethod
    def _is_open(self, connection: C) -> bool: ...

    @abc.abstractmethod
    def _is_lost(self, error: Exception) -> bool: ...
