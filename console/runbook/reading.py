"""Reads for runbooks: by name, or by a document's own SQL, always with the monitor's login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from console.engine.port import Engine
from console.runbook.document import Flavor, Query, Sql, Verify, WaitUntil
from console.runbook.judging import answer
from console.runbook.sql import bind, fault, variant
from console.runbook.steps import work_out
from console.runbook.values import UNKNOWN, ExpressionError

Read = Callable[[Engine], Awaitable[list[dict[str, Any]]]]


class Reading:
    """`reads` are by name, as `dbdeck show` knows them."""

    def __init__(self, engine: Engine, reads: Mapping[str, Read]) -> None:
        self._engine = engine
        self._reads = reads

    async def rows(
        self, of: Query | WaitUntil | Verify, names: Mapping[str, Any], seconds: float, most: int
    ) -> dict[str, Any]:
        """The answer, as expressions know it. Raises ExpressionError, and what the engine raises."""
        if of.read is not None:
            rows = await self.named(of.read)
            return answer(rows[:most], truncated=len(rows) > most)
        if of.sql is None:
            raise ExpressionError("there is nothing to read")
        return await self._selected(of.sql, worked_out(of.args, names), seconds, most)

    async def named(self, name: str) -> list[dict[str, Any]]:
        read = self._reads.get(name)
        if read is None:
            raise ExpressionError(f"there is no read {name!r}")
        return await read(self._engine)

    async def _selected(
        self, text: Sql | dict[Flavor, Sql], args: Mapping[str, Any], seconds: float, most: int
    ) -> dict[str, Any]:
        flavor = (await self._engine.identity()).flavor
        one = variant(text, flavor)
        wrong = fault(one)
        if wrong:
            raise ExpressionError(f"the SQL was not sent: {wrong}")
        bound = bind(one, args, flavor)
        found = await self._engine.select(bound.sql, bound.values, seconds=seconds, limit=most)
        return answer(found.rows, truncated=found.truncated)


def worked_out(given: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments worked out. Raises ExpressionError for one that is not known."""
    found = {name: work_out(value, names) for name, value in given.items()}
    for name, value in found.items():
        if value is UNKNOWN or (isinstance(value, list) and any(one is UNKNOWN for one in value)):
            raise ExpressionError(f"the argument {name} is not known: {given[name]}")
    return found
