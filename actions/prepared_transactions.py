"""transaction.rollback_prepared: undo a two-phase transaction that nobody finishes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import following
from actions import session_forecast as forecast
from actions.session_identity import FLAVORS
from actions.session_proof import until
from actions.words import counted, who
from actions.xids import xid, xids
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict, Watch
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Statement
from console.engine.queries import quote_literal
from console.errors import PrivilegeMissing, Stale
from console.model.blocking import BlockingTree
from console.model.sessions import Session, State
from console.model.target import ServerIdentity
from console.model.transactions import OpenTransaction
from console.present.units import age

LISTED = 5


class PreparedArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gid` as `show transactions` prints it: a name in PostgreSQL, an xid ('g','b',1) elsewhere."""

    gid: str


class RollbackPrepared:
    """A decision for its coordinator: what the other databases of the transaction do is not known here."""

    name = "transaction.rollback_prepared"
    summary = "roll a prepared (two-phase) transaction back: its changes are undone, its locks are freed"
    risk = Risk.HIGH
    flavors = FLAVORS
    facts = Facts(
        on={
            "postgresql": On(
                locks="none on tables; those that the transaction holds are freed",
                rights="the role that prepared it, or a superuser",
            ),
            "mysql": On(
                locks="none on tables; those that the transaction holds are freed",
                rights="none; the monitor needs `XA_RECOVER_ADMIN`",
            ),
            "mariadb": On(
                locks="none on tables; those that the transaction holds are freed",
                rights="none",
            ),
        },
        undo="nothing: the changes of the transaction are lost",
    )
    Args = PreparedArgs

    async def plan(self, engine: Engine, args: PreparedArgs) -> Plan:
        server = await engine.identity()
        transactions = await engine.transactions()
        found = _find(server, transactions, args.gid)
        tree = await engine.locks()
        statement = _statement(server, found, args.gid)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args={"gid": args.gid},
            subject={
                "title": f"prepared transaction {args.gid}",
                "gid": args.gid,
                "database": statement.database,
                "transaction": msgspec.to_builtins(found),
            },
            statements=(statement.shown,),
            forecast=_forecast(server, found, tree),
            warnings=_warnings(server, found, args.gid),
            refusals=_refusals(server, found, transactions),
            undo="nothing undoes it: the changes of this transaction are lost",
            observed=_observed(found),
            evidence=_evidence(found, tree),
            server=server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        found = msgspec.convert(plan.subject["transaction"], OpenTransaction)
        await operator.execute(_statement(plan.server, found, plan.subject["gid"]), timeout=60.0)
        return Result(matched=True)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        """Gone is rolled back by us only where the server said so: its coordinator may have committed it.

        Asked later (by reconcile) or after the server refused, that cannot be told any more.
        """
        gid = plan.subject["gid"]

        async def gone() -> bool:
            return not _listed(plan.server, await engine.transactions(), gid)

        if not await until(gone, patience):
            return Verdict(state="not_applied", summary=f"{gid} is still prepared")
        if patience > 0:
            return Verdict(state="applied", summary=f"{gid} is no longer prepared")
        return Verdict(
            state="undecidable",
            summary=f"{gid} is no longer prepared: rolled back, or committed by its coordinator",
        )

    async def follow(self, plan: Plan, engine: Engine, watch: Watch, verdict: Verdict) -> Verdict:
        return verdict.with_evidence(await following.follow(plan, engine, watch))

    def lock(self, plan: Plan) -> str:
        return f"prepared:{plan.subject['gid']}"


# ---- which -------------------------------------------------------------------------------------


def _find(server: ServerIdentity, transactions: Sequence[OpenTransaction], gid: str) -> OpenTransaction:
    """Raises Stale where no prepared transaction has that name, UsageError for what is no name, and
    PrivilegeMissing where there are some whose names may not be seen.
    """
    found = _listed(server, transactions, gid)
    if found:
        return found[0]
    if any(one.session.state is State.PREPARED and not one.prepared for one in transactions):
        raise PrivilegeMissing(
            "transactions are prepared whose names this login may not see; nothing was executed",
            f"GRANT XA_RECOVER_ADMIN ON *.* to the monitor ({server.user})",
        )
    names = [one.session.prepared or "?" for one in transactions if one.prepared]
    there = ", ".join(names[:LISTED]) if names else "none is prepared"
    raise Stale(
        f"no prepared transaction is called {gid} (there: {there}); nothing was executed",
        "look again: `dbdeck show transactions`",
    )


def _listed(
    server: ServerIdentity, transactions: Iterable[OpenTransaction], gid: str
) -> list[OpenTransaction]:
    prepared = [one for one in transactions if one.prepared]
    if server.flavor == "postgresql":
        return [one for one in prepared if one.session.prepared == gid]
    wanted = xid(gid)
    return [one for one in prepared if wanted in xids(one.session.prepared or one.resolve or "")]


def _statement(server: ServerIdentity, found: OpenTransaction, gid: str) -> Statement:
    """PostgreSQL cannot bind the name in a utility statement; an xid is written in hex by ourselves."""
    if server.flavor == "postgresql":
        sql = f"ROLLBACK PREPARED {quote_literal(gid, server.flavor)}"
        return Statement(sql=sql, shown=sql, database=found.session.database or "")
    sql = f"XA ROLLBACK {xid(gid).literal}"
    return Statement(sql=sql, shown=sql)


def _observed(found: OpenTransaction) -> dict[str, Any]:
    """Its name may be used again by another transaction: the time it was prepared tells them apart."""
    started = found.session.transaction_started_at
    return {
        "prepared": started.isoformat() if started else None,
        "transaction": found.number,
        "owner": found.session.user,
    }


def _refusals(
    server: ServerIdentity, found: OpenTransaction, transactions: Iterable[OpenTransaction]
) -> tuple[str, ...]:
    """Of a session that is still connected only that session can end it: others get XAER_NOTA."""
    if server.flavor == "postgresql" or (found.session.id == 0 and found.session.started_at is not None):
        return ()
    if found.session.id:
        return (_connected(who(found.session)),)
    # MariaDB does not tell whose it is: a session that prepared one sits idle in its transaction.
    idle = [one.session for one in transactions if one.session.state is State.IDLE_IN_TRANSACTION]
    if not idle:
        return ()
    names = ", ".join(who(one) for one in idle[:LISTED])
    return (_connected(names if len(idle) == 1 else f"one of {names}"),)


def _connected(whose: str) -> str:
    return (
        f"its client is still connected ({whose}), and only that session can finish it; "
        "session.terminate detaches it"
    )


# ---- words -------------------------------------------------------------------------------------


def _node(found: OpenTransaction) -> int | None:
    """Its id in the wait graph."""
    return -int(found.number) if found.number and found.number.isdigit() else None


def _evidence(found: OpenTransaction, tree: BlockingTree) -> dict[str, Any]:
    node = _node(found)
    waiters = forecast.behind(tree, [node]) if node is not None else []
    return {"before": msgspec.to_builtins(following.Before(waiters=tuple(waiters)))}


def _forecast(server: ServerIdentity, found: OpenTransaction, tree: BlockingTree) -> tuple[str, ...]:
    session, node = found.session, _node(found)
    lines = [f"prepared {age(session.transaction_seconds)} ago by {session.user or 'an unknown account'}"]
    waiters = forecast.behind(tree, [node]) if node is not None else []
    if node is not None and waiters:
        lines.append(f"waiting behind it: {forecast.waiting_line(tree, waiters)}")
        lines += forecast.queue_forecast(tree, [node])
    else:
        lines.append("nobody is known to wait on it")
    if found.pins:
        lines.append(f"it keeps alive what {counted(found.pins, 'transaction')} since then made obsolete")
    if server.flavor == "postgresql":
        lines.append("PostgreSQL aborts at once; nothing is undone row by row")
    elif session.rows_modified:
        lines.append(forecast.undo_forecast(session.rows_modified))
    return tuple(lines)


def _warnings(server: ServerIdentity, found: OpenTransaction, gid: str) -> tuple[str, ...]:
    commit = (
        f"COMMIT PREPARED {quote_literal(gid, server.flavor)}"
        if server.flavor == "postgresql"
        else f"XA COMMIT {xid(gid).literal}"
    )
    lines = [
        "its coordinator may want to commit it: rolling it back here while other databases commit their "
        f"part leaves them different. Ask it first; what it would send to keep the changes: {commit}",
        *_right(server, found.session),
    ]
    if server.flavor != "postgresql" and len(xids(found.session.prepared or "")) > 1:
        lines.append(
            "several are prepared, and the server does not tell which of them holds which locks: "
            "who waits and its age may be those of another"
        )
    return tuple(lines)


def _right(server: ServerIdentity, session: Session) -> list[str]:
    if server.flavor == "postgresql":
        return [f"only {session.user or 'its owner'} or a superuser may do this"]
    return []
