"""chain.break: end the cheapest set of sessions that frees everybody who waits behind one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import following, several
from actions import session_forecast as forecast
from actions import session_identity as identity
from actions import session_rights as rights
from actions.chain_costs import Choice, untouchable
from actions.chain_scene import Chain, ChainArgs, look
from actions.fact_words import SESSIONS
from actions.session_identity import FLAVORS
from actions.session_proof import DONE, SETTLE_SECONDS, Aim, Verb, prove, verdict_on
from actions.words import counted, statement_of, who
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Step, Verdict, Watch
from console.dispatch.facts import Facts
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.model.blocking import UNSEEN
from console.model.sessions import Session, State
from console.model.whatif import NEVER, after, cheapest_break

LISTED = 5


class BreakChain:
    """Cancel or terminate the few sessions whose end lets everybody behind the root run."""

    name = "chain.break"
    summary = "end the cheapest set of sessions that frees everybody who waits behind one"
    risk = Risk.HIGH
    flavors = FLAVORS
    facts = Facts(
        on=SESSIONS,
        undo="nothing: what is ended has to be run again by its clients",
    )
    Args = ChainArgs

    async def plan(self, engine: Engine, args: ChainArgs) -> Plan:
        chain = await look(engine, args)
        choices = chain.choices()
        chosen = cheapest_break(chain.tree, chain.root, lambda one: _cost(choices, one))
        refusals = _in_the_way(chain, choices, chosen) if chain.waiting else _unseen(chain)
        aims = [] if refusals else _aims(chain, choices, chosen or ())
        others = await engine.sessions()
        subjects = [aim.session for aim in aims]
        found = following.before(chain.tree, subjects, others, [one.query for one in subjects])
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=_args(args),
            subject={
                "title": f"the chain behind {_named(chain)}",
                "root": args.root,
                "sessions": several.frozen(aims),
            },
            statements=tuple(several.statement(chain.server, aim).shown for aim in aims),
            forecast=_forecast(chain, aims),
            warnings=(*await _barred(engine, chain, aims), *_warnings(chain, aims, others)),
            refusals=refusals,
            undo="nothing undoes it: what is ended has to be run again by its clients",
            observed={"sessions": [_key(aim) for aim in aims]},
            evidence=found,
            server=chain.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        return await several.end_each(plan, operator)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return await self.verify_steps(plan, engine, None, patience=patience)

    async def verify_steps(
        self, plan: Plan, engine: Engine, steps: Sequence[Step] | None, *, patience: float
    ) -> Verdict:
        aims = several.aims_of(plan)
        found = await prove(plan, aims, engine, steps, patience=patience)
        return verdict_on(aims, found, "nobody waits behind it")

    async def follow(self, plan: Plan, engine: Engine, watch: Watch, verdict: Verdict) -> Verdict:
        seen = await following.follow(plan, engine, watch, settle=SETTLE_SECONDS)
        return _freed(verdict.with_evidence(seen), seen)

    def lock(self, plan: Plan) -> str:
        return f"chain:{plan.subject['root']}"


# ---- choosing ----------------------------------------------------------------------------------


def _cost(choices: Mapping[int, Choice], number: int) -> float:
    return choices[number].cost if number in choices else NEVER


def _aims(chain: Chain, choices: Mapping[int, Choice], chosen: Iterable[int]) -> list[Aim]:
    """The worst blocker first."""
    nodes = {node.session.id: node for node in chain.tree}
    aims = []
    for number in chosen:
        choice, node = choices[number], nodes[number]
        if choice.verb is None:
            continue
        pinned = node.session.transaction_started_at if choice.verb is Verb.TERMINATE else None
        aims.append(
            Aim(
                verb=choice.verb,
                session=node.session,
                transaction=pinned,
                blocks=node.blocks,
                why=choice.why,
            )
        )
    return sorted(aims, key=lambda aim: (-aim.blocks, aim.session.id))


def _in_the_way(
    chain: Chain, choices: Mapping[int, Choice], chosen: tuple[int, ...] | None
) -> tuple[str, ...]:
    """Why no set breaks the chain: who would have to end and may not, or at what cost."""
    if chosen is not None and after(chain.tree, chosen).released:
        return ()
    roots = chain.roots
    blocked = [one for one in roots if _cost(choices, one) == NEVER]
    ways = "; ".join(_way(chain, one) for one in (blocked or roots)[:LISTED])
    if chosen is None or blocked:
        why = "the chain cannot be broken, because what holds it may not be ended by this"
    else:
        why = "it would cost less to cancel those who wait than to end what they wait for, and free nobody"
    return (f"{why}: {ways}",)


def _unseen(chain: Chain) -> tuple[str, ...]:
    """Nobody is known to wait behind the root, and somebody may."""
    who_waits = forecast.unseen(chain.tree, [chain.root])
    if not who_waits:
        return ()
    return (f"{who_waits}, so no chain is known to be broken here; session.terminate ends one of them",)


async def _barred(engine: Engine, chain: Chain, aims: Sequence[Aim]) -> tuple[str, ...]:
    """Each of them has to end."""
    users = {aim.session.user: aim.session for aim in aims}
    found = [await rights.warning(engine, chain.server, (one,)) for one in users.values()]
    return tuple(dict.fromkeys(line for lines in found for line in lines))


def _way(chain: Chain, number: int) -> str:
    """What can be done about one root blocker, by its own action."""
    if number == UNSEEN:
        return forecast.unseen(chain.tree, chain.tree.suspects) or "the server does not tell by whom"
    session = chain.node(number)
    if session.prepared is not None:
        name = session.prepared
        return f"prepared transaction {name!r}: transaction.rollback_prepared gid={shlex.quote(name)}"
    if session.state is State.PREPARED:
        return (
            "a prepared transaction whose name this login may not see (GRANT XA_RECOVER_ADMIN ON *.*): "
            "transaction.rollback_prepared ends it"
        )
    barred = untouchable(session)
    if barred:
        return f"{who(session)}: {barred}"
    xa = chain.prepared_by(number)
    told = f"{who(session)}: {forecast.detaches(xa)}; " if xa is not None else f"{who(session)}: "
    start = session.started_at.isoformat() if session.started_at else "?"
    return f"{told}session.terminate id={session.id} started_at={start}"


def _key(aim: Aim) -> str:
    """What of an aim must not have changed since the plan; the server compares the same."""
    if aim.verb is Verb.CANCEL:
        return f"cancel {aim.session.id}, statement {identity.statement_identity(aim.session)}"
    started = aim.transaction.isoformat() if aim.transaction else None
    return f"terminate {aim.session.id}, transaction {started}"


def _freed(verdict: Verdict, seen: Mapping[str, Any]) -> Verdict:
    """The chain is broken when those who waited are free, not when somebody was ended."""
    held, waited = len(seen.get("not_freed", ())), seen.get("waiters_before", 0)
    if waited and "waiters_released" not in seen:
        return msgspec.structs.replace(
            verdict, summary=f"{verdict.summary}; nobody saw whether that freed anyone"
        )
    if not held:
        return verdict
    behind = ", ".join(f"session {one}" if one else "a prepared transaction" for one in seen["held_by"])
    told = any(verdict.evidence.get(str(fate)) for fate in DONE)
    return msgspec.structs.replace(
        verdict,
        state="partial" if told else "not_applied",
        summary=f"{verdict.summary}, but {held} of {counted(waited, 'waiter')} not free: held by {behind}",
    )


# ---- words -------------------------------------------------------------------------------------


def _args(args: ChainArgs) -> dict[str, Any]:
    started = args.started_at.isoformat() if args.started_at else None
    return {"root": args.root, "started_at": started}


def _named(chain: Chain) -> str:
    if chain.session.prepared is not None:
        return f"prepared transaction {chain.session.prepared!r}"
    return f"session {chain.session.id}"


def _forecast(chain: Chain, aims: Sequence[Aim]) -> tuple[str, ...]:
    if not chain.waiting:
        return ("nobody waits behind it: there is nothing to break",)
    chosen = [f"{aim.verb} {who(aim.session)}: {aim.why} [{statement_of(aim.session)}]" for aim in aims]
    ends = forecast.queue_forecast(chain.tree, [aim.session.id for aim in aims]) if aims else ()
    undo = [
        forecast.undo_forecast(aim.session.rows_modified)
        for aim in aims
        if aim.verb is Verb.TERMINATE and aim.session.rows_modified and chain.server.flavor != "postgresql"
    ]
    return (*chosen, *ends, *undo)


def _warnings(chain: Chain, aims: Sequence[Aim], others: Sequence[Session]) -> tuple[str, ...]:
    found = []
    roots = chain.roots
    if chain.waiting and chain.root not in roots:
        found.append(f"{_named(chain)} waits itself; its chain begins at {_begin(roots)}")
    for aim in aims:
        scene = forecast.Scene(
            flavor=chain.server.flavor,
            session=aim.session,
            tree=chain.tree,
            others=tuple(others),
            statement=aim.session.query,
        )
        found += [f"session {aim.session.id}: {line}" for line in forecast.warnings(scene)]
    return tuple(found)


def _begin(roots: Sequence[int]) -> str:
    return ", ".join(f"session {one}" if one > 0 else "a prepared transaction" for one in roots[:LISTED])
