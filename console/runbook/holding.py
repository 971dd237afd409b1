"""Runs with the locks they hold: a new one, one that is gone on with, and who has one now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.dispatch.action import Watch
from console.dispatch.dispatcher import Dispatcher, Holding
from console.engine.port import Engine
from console.errors import Locked
from console.model.target import Target
from console.runbook.doing import Ground, nobody_looks
from console.runbook.events import Event, Remarked, Started
from console.runbook.history import body_of, documents_of, recall
from console.runbook.reading import Others, Read
from console.runbook.runner import Decide, Order, Runner, locks


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """What runs on one target are made with, whoever starts them; see `Ground`. `targets` finds another one
    by its name, for reads of it; raises ConfigError.
    """

    dispatcher: Dispatcher
    engine: Engine
    reads: Mapping[str, Read]
    decide: Decide
    watch: Watch
    targets: Callable[[str], Target]
    looked: Callable[[str, str], None] = nobody_looks

    def ground(self, still_held: Holding, order: Order, others: Others) -> Ground:
        return Ground(
            dispatcher=self.dispatcher, ledger=self.dispatcher.ledger, engine=self.engine, reads=self.reads,
            watch=self.watch, reason=order.reason, ticket=order.ticket, still_held=still_held,
            others=others, looked=self.looked,
        )  # fmt: skip


@asynccontextmanager
async def beginning(ways: Ways, begins: Started, order: Order) -> AsyncIterator[Runner]:
    """A runner for a new run. Raises Locked where another is in the way, and the errors of a connection."""
    documents = documents_of(begins)
    names = locks(begins, documents[begins.runbook])
    held = ways.dispatcher.holding(ways.engine.target, names, f"the run of {begins.runbook}")
    async with held as still, _others(ways) as others:
        yield Runner(ways.ground(still, order, others), ways.decide, documents, order, None)


@asynccontextmanager
async def going_on(ways: Ways, run: UUID, order: Order) -> AsyncIterator[Runner]:
    """A runner for a run that stands in the ledger.

    Raises Locked where somebody else runs it, UsageError where there is none, and the errors of a connection.
    """
    recalled = await recall(ways.dispatcher.ledger, run)
    begins, documents = recalled.run.started, recalled.documents
    names = locks(begins, documents[begins.runbook])
    held = ways.dispatcher.holding(ways.engine.target, names, f"the run {run}")
    async with held as still, _others(ways) as others:
        again = await recall(ways.dispatcher.ledger, run)  # by now nobody else adds to it
        yield Runner(ways.ground(still, order, others), ways.decide, documents, order, again.run)


@asynccontextmanager
async def _others(ways: Ways) -> AsyncIterator[Others]:
    """Other targets' monitors for as long as a run goes; those that were opened are closed."""
    others = Others(ways.targets)
    try:
        yield others
    finally:
        await others.close()


async def holder_of(dispatcher: Dispatcher, target: Target, run: UUID) -> str | None:
    """Who runs it, in the server's words; None where nobody does. Raises the errors of a connection."""
    try:
        async with dispatcher.holding(target, [f"run:{run}"], "the run"):
            return None
    except Locked as locked:
        return locked.holder or "somebody"


async def remark(ledger: Ledger, run: UUID, text: str, by: str) -> Event:
    """A note on a run, by whoever may write, also while another runs it or after its end.

    Raises UsageError where there is no such run, AuditUnavailable: nothing is recorded then.
    """
    recalled = await recall(ledger, run)
    event = Remarked(by=by, text=text)
    await ledger.append(Kind.RUN, run, body_of(recalled.run.started, event, by))
    return event
