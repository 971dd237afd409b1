"""One lock chain and everything that is known around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from actions import session_forecast as forecast
from actions import session_identity as identity
from actions.chain_costs import Choice, Facts
from actions.words import counted
from console.engine.port import Engine
from console.errors import DbdeckError, Stale, UsageError
from console.model.blocking import BlockingTree
from console.model.locks import bits, closure
from console.model.sessions import Session, SessionKey, State, by_id
from console.model.target import ServerIdentity
from console.model.transactions import OpenTransaction


class ChainArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`root` is a session as `show locks` prints it, and wants its start; 0 is a prepared transaction."""

    root: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    started_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """One chain: its `root` by its id in the graph, and everything that is known around it."""

    server: ServerIdentity
    root: int
    session: Session
    tree: BlockingTree
    transactions: tuple[OpenTransaction, ...]

    @property
    def waiting(self) -> list[int]:
        return forecast.behind(self.tree, [self.root])

    @property
    def roots(self) -> list[int]:
        """The root blockers of everybody who waits behind the root, itself first where it is one."""
        graph = self.tree.graph
        if self.root not in graph.ids:
            return []
        reach, direct = closure(graph), graph.direct
        above = 1 << graph.ids.index(self.root)
        for bit in bits(reach.below[graph.ids.index(self.root)]):
            above |= reach.above[bit]
        return [graph.ids[bit] for bit in bits(above) if not direct.get(bit)]

    def choices(self) -> dict[int, Choice]:
        known = {one.session.id: one for one in self.transactions}
        return Facts(self.server.flavor, self.tree, known).choices()

    def prepared_by(self, number: int) -> str | None:
        """The XA transaction that a session which is still connected has prepared."""
        return next((one.session.prepared for one in self.transactions if one.session.id == number), None)

    def node(self, number: int) -> Session:
        """The session of a graph id; prepared transactions are known by their number."""
        if number > 0:
            return by_id(node.session for node in self.tree).get(number, Session(id=number, started_at=None))
        return prepared(self.transactions).get(number, Session(id=0, started_at=None, visible=False))


async def look(engine: Engine, args: ChainArgs) -> Chain:
    """Raises Stale for a root that is gone or another one now, UsageError for one without its start."""
    server = await engine.identity()
    root = await _root(engine, server, args) if args.root else None
    tree, transactions = await engine.locks(), await _transactions(engine)
    if root is not None:
        return Chain(server=server, root=root.id, session=root, tree=tree, transactions=transactions)
    number, found = _prepared_root(tree, transactions, args)
    return Chain(server=server, root=number, session=found, tree=tree, transactions=transactions)


async def _root(engine: Engine, server: ServerIdentity, args: ChainArgs) -> Session:
    if args.started_at is not None:
        return await identity.find(engine, server, SessionKey(args.root, args.started_at))
    session = await engine.session(args.root)
    if session is None or session.started_at is None:
        raise Stale(f"session {args.root} is gone; nothing was executed", "look again: `dbdeck show locks`")
    raise UsageError(
        f"chain.break needs the start of session {args.root}, because numbers are reused; "
        "nothing was executed",
        f"if it is the one meant: started_at={session.started_at.isoformat()}",
    )


async def _transactions(engine: Engine) -> tuple[OpenTransaction, ...]:
    """Who changed something. Without it costs are less exact, which is no reason to leave a chain."""
    try:
        return await engine.transactions()
    except DbdeckError:
        return ()


def prepared(transactions: Iterable[OpenTransaction]) -> dict[int, Session]:
    """Prepared transactions by their id in the graph: minus their number."""
    return {
        -int(one.number): one.session
        for one in transactions
        if one.session.state is State.PREPARED and one.number and one.number.isdigit()
    }


def _prepared_root(
    tree: BlockingTree, transactions: Sequence[OpenTransaction], args: ChainArgs
) -> tuple[int, Session]:
    known = prepared(transactions)
    there = {number: known.get(number) for number in tree.graph.ids if number < 0}
    if args.started_at is not None:
        there = {number: one for number, one in there.items() if one and one.started_at == args.started_at}
    if len(there) != 1:
        raise Stale(
            f"{counted(len(there), 'prepared transaction')} in the queues: root=0 names none of them; "
            "nothing was executed",
            "look at `dbdeck show locks`; with several, give started_at",
        )
    ((number, found),) = there.items()
    return number, found or Session(id=0, started_at=None, visible=False)
