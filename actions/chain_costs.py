"""What ending each session of a lock chain would cost: the cheapest set breaks the chain.

Costs are points, to be compared and not to be believed to the digit:

 1.5  end a session that is idle in a transaction and has changed nothing: only a connection is lost
 2    cancel a waiting statement that holds others up by its place in the queue alone (the DDL behind a
      reader); or end an idle session without a transaction (it holds a lock of its session)
 3    end a session idle in transaction that wrote, or of which that is not known; plus a point for every
      ten seconds that InnoDB may need for the undo
 4    stop a statement that runs, plus a point for every minute it has run (at most 60), DDL twice: the
      longer it ran the nearer is its end, and all of it has to be done again
 6    end a waiter that holds what others wait for; plus the undo
20    cancel a waiter that holds nobody up: its own work is what the chain is to be broken for
NEVER protected sessions, hidden ones, those told to end already, those whose XA transaction is prepared and
      would outlive them, and whatever has no session

PostgreSQL frees a transaction's locks when its statement is cancelled (all but those taken before a
savepoint), MySQL and MariaDB keep them: there whoever holds something is terminated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from actions.session_forecast import detaches, hard_waiters, undo_seconds
from actions.session_proof import Verb
from actions.words import counted
from console.model.blocking import BlockingTree, LockNode
from console.model.sessions import Session, State
from console.model.transactions import OpenTransaction
from console.model.whatif import NEVER, jams
from console.present.units import age

IDLE_CLEAN, JAMMING, IDLE, IDLE_WROTE, RUNNING, HOLDING, VICTIM = 1.5, 2.0, 2.0, 3.0, 4.0, 6.0, 20.0
_IDLE_STATES = (State.IDLE_IN_TRANSACTION, State.ABORTED)
_DDL = re.compile(
    r"\s*(?:/\*.*?\*/\s*)*(?:alter|create|drop|truncate|rename|reindex|vacuum|cluster|refresh|optimize|"
    r"analyze|repair)\b",
    re.IGNORECASE,
)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What could be done to one session, at what cost, and why. `verb` None: nothing may be done."""

    verb: Verb | None
    cost: float
    why: str


class Facts(msgspec.Struct, frozen=True):
    """The queues of one server, and what is known of the transactions in them."""

    flavor: str
    tree: BlockingTree
    transactions: Mapping[int, OpenTransaction] = {}

    def choices(self) -> dict[int, Choice]:
        """By the ids of the graph; those that are not here may never be ended."""
        held_up = {jam.waiter: jam.held_up for jam in jams(self.tree)}
        nodes = {node.session.id: node for node in self.tree if node.session.id > 0}
        return {number: self._choose(node, held_up.get(number, 0)) for number, node in nodes.items()}

    def _choose(self, node: LockNode, held_up: int) -> Choice:
        session = node.session
        barred = untouchable(session)
        if barred:
            return Choice(verb=None, cost=NEVER, why=barred)
        known = self.transactions.get(session.id)
        if known is not None and known.session.prepared is not None:
            return Choice(verb=None, cost=NEVER, why=detaches(known.session.prepared))
        if node.edge is not None or node.blocked_by:
            return self._waiting(session, held_up)
        if session.state in _IDLE_STATES:
            return self._idle_in_transaction(session)
        if session.state is State.ACTIVE:
            return self._running(session)
        return Choice(verb=Verb.TERMINATE, cost=IDLE, why="idle, and holds a lock of its session")

    def _waiting(self, session: Session, held_up: int) -> Choice:
        holds = hard_waiters(self.tree, session.id)
        if holds:
            why = f"waits itself, and holds what {counted(holds, 'other')} wait for"
            cost = HOLDING + self._undo(session)
            return Choice(verb=self._stop(session), cost=cost, why=why)
        why = f"waits, and holds {counted(held_up, 'session')} up by its place in the queue alone"
        if not held_up:
            why = "waits, and holds nobody up"
        verb = Verb.CANCEL if _cancellable(session) else Verb.TERMINATE
        return Choice(verb=verb, cost=JAMMING if held_up else VICTIM, why=why)

    def _idle_in_transaction(self, session: Session) -> Choice:
        wrote = self._wrote(session)
        idle = f"idle in transaction for {age(session.state_seconds)}"
        if wrote is False:
            return Choice(verb=Verb.TERMINATE, cost=IDLE_CLEAN, why=f"{idle}, has changed nothing")
        changed = "with changes" if wrote else "changes not known"
        if session.rows_modified:
            changed = f"{counted(session.rows_modified, 'modified row')} to undo"
        cost = IDLE_WROTE + self._undo(session)
        return Choice(verb=Verb.TERMINATE, cost=cost, why=f"{idle}, {changed}")

    def _running(self, session: Session) -> Choice:
        minutes = min(60.0, (session.query_seconds or 0.0) / 60)
        ddl = _DDL.match(session.query or "") is not None
        cost = RUNNING + minutes * (2 if ddl else 1) + self._undo(session)
        what = "DDL" if ddl else "a statement"
        why = f"runs {what} for {age(session.query_seconds)}, which has to be done again"
        return Choice(verb=self._stop(session), cost=cost, why=why)

    def _stop(self, session: Session) -> Verb:
        """What frees the locks of its transaction."""
        frees = self.flavor == "postgresql" and _cancellable(session)
        return Verb.CANCEL if frees else Verb.TERMINATE

    def _wrote(self, session: Session) -> bool | None:
        """None is not known. PostgreSQL gives a transaction its number when it first writes."""
        if session.rows_modified is not None:
            return session.rows_modified > 0
        known = self.transactions.get(session.id)
        if known is None or self.flavor != "postgresql":
            return None
        return known.number is not None

    def _undo(self, session: Session) -> float:
        if self.flavor == "postgresql" or not session.rows_modified:
            return 0.0
        return undo_seconds(session.rows_modified)[1] / 10


def untouchable(session: Session) -> str:
    """Why nothing may be done to it; empty where something may."""
    if session.prepared is not None or session.state is State.PREPARED:
        return "a prepared transaction: it has no session"
    if session.protection is not None:
        return str(session.protection)
    if not session.visible or session.key is None:
        return "hidden from this login: nobody knows whose it is"
    if session.state is State.ENDING:
        return "was told to end already, and rolls back"
    return "a background process" if session.state is State.BACKGROUND else ""


def _cancellable(session: Session) -> bool:
    """The server tells its statements apart, so that no later one can be hit."""
    told = session.query_started_at is not None or session.query_id is not None
    return session.state is State.ACTIVE and told
