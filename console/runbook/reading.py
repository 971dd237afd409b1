"""Reads for runbooks: by name, or by a document's own SQL, always with the monitor's login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.target import Target
from console.runbook.document import Capture, Flavor, Query, Sql, Verify, WaitUntil
from console.runbook.expression import evaluate
from console.runbook.judging import answer
from console.runbook.sql import bind, fault, variant
from console.runbook.steps import work_out
from console.runbook.values import UNKNOWN, ExpressionError, is_cut

Read = Callable[[Engine], Awaitable[list[dict[str, Any]]]]
Opening = Callable[[str], Awaitable[Engine]]  # of another target's monitor, by its name


class Others:
    """Monitors of other targets: each is opened when it is first read, and all are closed with the run.

    `find` raises UsageError for a name that no target has.
    """

    def __init__(
        self,
        find: Callable[[str], Target],
        opener: Callable[[Target], AbstractAsyncContextManager[Engine]] = open_engine,
    ) -> None:
        self._find = find
        self._opener = opener
        self._stack = AsyncExitStack()
        self._opened: dict[str, Engine] = {}

    async def __call__(self, name: str) -> Engine:
        if name not in self._opened:
            self._opened[name] = await self._stack.enter_async_context(self._opener(self._find(name)))
        return self._opened[name]

    async def close(self) -> None:
        await self._stack.aclose()


class Reading:
    """`reads` are by name, as `dbdeck show` knows them; `others` opens the monitor of another target."""

    def __init__(self, engine: Engine, reads: Mapping[str, Read], others: Opening | None = None) -> None:
        self._engine = engine
        self._reads = reads
        self._others = others

    async def of(self, step: Query | Capture | WaitUntil, names: Mapping[str, Any]) -> Reading:
        """The reading of the target that a step names. Raises ExpressionError, UsageError for none such."""
        name = elsewhere(step, names)
        if name is None or name == self._engine.target.name:
            return self
        if self._others is None:
            raise ExpressionError(f"no other target can be read here, and {name} is one")
        return Reading(await self._others(name), self._reads)

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
        wrong = fault(one, flavor)
        if wrong:
            raise ExpressionError(f"the SQL was not sent: {wrong}")
        bound = bind(one, args, flavor)
        found = await self._engine.select(bound.sql, bound.values, seconds=seconds, limit=most)
        return answer(found.rows, truncated=found.truncated)


def worked_out(given: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments worked out. Raises ExpressionError for one that is not known."""
    found = {name: work_out(value, names) for name, value in given.items()}
    for name, value in found.items():
        if is_cut(value):
            raise ExpressionError(f"the argument {name} is of an answer that was cut off: {given[name]}")
        if value is UNKNOWN or (isinstance(value, list) and any(one is UNKNOWN for one in value)):
            raise ExpressionError(f"the argument {name} is not known: {given[name]}")
    return found


def elsewhere(step: object, names: Mapping[str, Any]) -> str | None:
    """The name of the target that a step reads instead of the run's own; None where it names none.

    Raises ExpressionError for one that is not known.
    """
    text = getattr(step, "target", None)
    if text is None:
        return None
    found = evaluate(text, names)
    if not isinstance(found, str):
        raise ExpressionError(f"the target is not known: {text}")
    return found
