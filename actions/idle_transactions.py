"""session.terminate_idle: end every session that has sat idle in its transaction for too long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from actions import following, several
from actions import session_forecast as forecast
from actions import session_rights as rights
from actions.fact_words import SESSIONS
from actions.session_identity import FLAVORS
from actions.session_proof import Aim, Verb, prove, verdict_on
from actions.words import counted, duration, idle_for, statement_of, who
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Step, Verdict, Watch
from console.dispatch.facts import Facts
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import DbdeckError, Refused, UsageError
from console.model.blocking import BlockingTree
from console.model.sessions import Session, State
from console.model.target import ServerIdentity

# A refusal may be about one session (a superuser's); so many in a row are about the operator.
REFUSALS = 3
LISTED = 20
_IDLE = (State.IDLE_IN_TRANSACTION, State.ABORTED)
_FIELDS = ("user", "database", "application", "client")
Many = tuple[str, ...]
NOTHING: Mapping[int, str] = {}


class IdleArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shell patterns; empty is any. `older_than` and `pause` are `10m`, `90s`, or seconds.

    `exclude` are patterns as `user=batch_*` or `application=report*`; who fits one is spared.
    """

    older_than: str | float
    user: str = ""
    database: str = ""
    application: str = ""
    client: str = ""
    exclude: Many | str = ()
    blocking_only: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    pause: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.5


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Who would be ended, the worst blocker first, and who is spared, with the reason."""

    aims: tuple[Aim, ...] = ()
    spared: tuple[tuple[Session, str], ...] = ()


class TerminateIdle:
    """One at a time; those that others wait behind first, and with a pause after each of them."""

    name = "session.terminate_idle"
    summary = "end all sessions idle in transaction for too long, the worst blocker first, one at a time"
    risk = Risk.HIGH
    flavors = FLAVORS
    facts = Facts(
        on=SESSIONS,
        undo="nothing: clients see lost connections, and their transactions are rolled back",
    )
    Args = IdleArgs

    def __init__(self, only: Sequence[Aim] | None = None) -> None:
        """`only`: nobody else is ended, in their order."""
        self._only = only

    def among(self, saved: Plan) -> TerminateIdle:
        try:
            return TerminateIdle(several.aims_of(saved))
        except (KeyError, msgspec.ValidationError):
            raise Refused(
                f"the saved plan of {self.name} tells no sessions: it was edited; nothing was executed",
                "plan anew",
            ) from None

    async def plan(self, engine: Engine, args: IdleArgs) -> Plan:
        older, _ = duration(args.older_than), _globs(args.exclude)
        server = await engine.identity()
        sessions, tree = await engine.sessions(), await engine.locks()
        found = choose(sessions, tree, args, self._only, prepared=await _prepared(engine, server))
        subjects = [aim.session for aim in found.aims]
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject=_subject(found.aims, older),
            statements=tuple(several.statement(server, aim).shown for aim in found.aims),
            forecast=_forecast(found, tree, server.flavor),
            warnings=(
                *await rights.warning(engine, server, subjects),
                *_left_alone(found, self._only),
                *_warnings(found, sessions),
            ),
            undo="nothing undoes it: clients see lost connections and their transactions are rolled back",
            evidence=following.before(tree, subjects, sessions, [one.query for one in subjects]),
            server=server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        seconds = float(plan.args["pause"])
        return await several.end_each(plan, operator, seconds=seconds, refusals=REFUSALS)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return await self.verify_steps(plan, engine, None, patience=patience)

    async def verify_steps(
        self, plan: Plan, engine: Engine, steps: Sequence[Step] | None, *, patience: float
    ) -> Verdict:
        aims = several.aims_of(plan)
        found = await prove(plan, aims, engine, steps, patience=patience)
        return verdict_on(aims, found, "no session has been idle in transaction for so long")

    async def follow(self, plan: Plan, engine: Engine, watch: Watch, verdict: Verdict) -> Verdict:
        return verdict.with_evidence(await following.follow(plan, engine, watch))

    def lock(self, plan: Plan) -> str:  # noqa: ARG002 - one such run a target
        return "sessions:idle"


def _subject(aims: Sequence[Aim], older: float) -> dict[str, Any]:
    return {
        "title": f"{counted(len(aims), 'session')} idle in transaction for over {older:g} s",
        "sessions": several.frozen(aims),
    }


def _which(aim: Aim) -> tuple[Any, ...]:
    return aim.session.id, aim.session.started_at, aim.transaction


# ---- choosing ----------------------------------------------------------------------------------


async def _prepared(engine: Engine, server: ServerIdentity) -> Mapping[int, str]:
    """XA transactions that connected sessions have prepared; those of PostgreSQL have no session."""
    if server.flavor == "postgresql":
        return {}
    try:
        found = await engine.transactions()
    except DbdeckError:
        return {}
    return {one.session.id: one.session.prepared for one in found if one.session.prepared is not None}


def choose(
    sessions: Iterable[Session],
    tree: BlockingTree,
    args: IdleArgs,
    only: Sequence[Aim] | None = None,
    *,
    prepared: Mapping[int, str] = NOTHING,
) -> Found:
    """Among `sessions`, those that fit; the protected, excluded and surplus ones are told, not ended, nor is
    whoever is none of `only`, whose order they have then.
    """
    older = duration(args.older_than)
    blocks = {node.session.id: node.blocks for node in tree}
    aims, spared = [], []
    for session in sessions:
        if not (_idle(session, older) and _fits(session, args)):
            continue
        number = blocks.get(session.id, 0)
        xa = prepared.get(session.id)
        reason = forecast.detaches(xa) if xa is not None else _spared(session, args)
        reason = reason or _unsure(session, number, tree, args)
        if reason:
            spared.append((session, reason))
        else:
            aims.append(_aim(session, number, older))
    aims.sort(key=lambda aim: (-aim.blocks, -(aim.session.state_seconds or 0.0), aim.session.id))
    if only is not None:
        place = {_which(aim): number for number, aim in enumerate(only)}
        spared += [(aim.session, "it is not in the saved plan") for aim in aims if _which(aim) not in place]
        aims = sorted((aim for aim in aims if _which(aim) in place), key=lambda aim: place[_which(aim)])
    over = [(aim.session, f"more than limit={args.limit}") for aim in aims[args.limit :]]
    return Found(aims=tuple(aims[: args.limit]), spared=(*spared, *over))


def _aim(session: Session, blocks: int, older: float) -> Aim:
    return Aim(
        verb=Verb.TERMINATE,
        session=session,
        transaction=session.transaction_started_at,
        idle=older,
        blocks=blocks,
        why=f"idle in transaction for {idle_for(session)}",
    )


def _idle(session: Session, older: float) -> bool:
    """By the age of the state: a session that works in a long transaction is not idle."""
    return session.state in _IDLE and (session.state_seconds or 0.0) >= older


def _fits(session: Session, args: IdleArgs) -> bool:
    wanted = ((name, getattr(args, name)) for name in _FIELDS)
    return all(fnmatchcase(_field(session, name), glob) for name, glob in wanted if glob)


def _spared(session: Session, args: IdleArgs) -> str:
    """Why it is left alone although it is idle for so long; empty where it is not."""
    if session.protection is not None:
        return str(session.protection)
    if session.key is None or session.transaction_started_at is None:
        return "the start of its transaction is not known, so it cannot be told from a later one"
    for name, glob in _globs(args.exclude):
        if fnmatchcase(_field(session, name), glob):
            return f"excluded by {name}={glob}"
    return ""


def _unsure(session: Session, blocks: int, tree: BlockingTree, args: IdleArgs) -> str:
    """With `blocking_only` whoever may block is not ended on a guess."""
    if blocks or not args.blocking_only:
        return ""
    return forecast.unseen(tree, [session.id]) or "nobody waits behind it"


def _field(session: Session, name: str) -> str:
    return str(getattr(session, name) or "")


def _globs(exclude: Many | str) -> list[tuple[str, str]]:
    """Raises UsageError for what is no pattern: an exclusion that never fits protects nobody."""
    found = []
    for one in (exclude,) if isinstance(exclude, str) else exclude:
        name, equals, glob = one.partition("=")
        if not (equals and glob) or name not in _FIELDS:
            raise UsageError(
                f"exclude={one!r} excludes nobody; nothing was executed",
                f"like user=batch_*; the names are {', '.join(_FIELDS)}",
            )
        found.append((name, glob))
    return found


# ---- words -------------------------------------------------------------------------------------


def _forecast(found: Found, tree: BlockingTree, flavor: str) -> tuple[str, ...]:
    if not found.aims:
        return ("nothing to do: no session fits",)
    ids = [aim.session.id for aim in found.aims]
    lines = [_line(place, aim) for place, aim in enumerate(found.aims[:LISTED], start=1)]
    if len(found.aims) > LISTED:
        lines.append(f"and {len(found.aims) - LISTED} more, as listed in the statements")
    rows = sum(aim.session.rows_modified or 0 for aim in found.aims)
    undo = (forecast.undo_forecast(rows),) if rows and flavor != "postgresql" else ()
    return (*lines, *forecast.queue_forecast(tree, ids), *undo)


def _line(place: int, aim: Aim) -> str:
    waiting = f"; {aim.blocks} wait behind it" if aim.blocks else ""
    start = aim.session.started_at.isoformat(timespec="seconds") if aim.session.started_at else "?"
    return f"{place}. {who(aim.session)}, started {start}, {aim.why}{waiting} [{statement_of(aim.session)}]"


def _left_alone(found: Found, only: Sequence[Aim] | None) -> tuple[str, ...]:
    """Of a saved plan, how many are not ended any more; those who are spared now are told with them."""
    left = len({_which(aim) for aim in only or ()} - {_which(aim) for aim in found.aims})
    return (f"{counted(left, 'session')} of the saved plan fit no longer and are left alone",) if left else ()


def _warnings(found: Found, sessions: Sequence[Session]) -> tuple[str, ...]:
    lines = [f"spared: {who(session)}: {reason}" for session, reason in found.spared[:LISTED]]
    if len(found.spared) > LISTED:
        lines.append(f"and {len(found.spared) - LISTED} more are spared")
    hidden = sum(1 for one in sessions if not one.visible)
    if hidden:
        lines.append(
            f"{counted(hidden, 'session')} may not be seen by this login and are left alone: "
            "grant what `dbdeck doctor` names"
        )
    return (*lines, *_returning(found, sessions))


def _returning(found: Found, sessions: Sequence[Session]) -> tuple[str, ...]:
    """Clients that do the same elsewhere and will likely come back, each once."""
    ended = {aim.session.id for aim in found.aims}
    again: Mapping[tuple[Any, ...], int] = {
        (aim.session.user, aim.session.client, aim.session.application): sum(
            one.id not in ended for one in forecast.doing_the_same(aim.session, sessions, aim.session.query)
        )
        for aim in found.aims
    }
    return tuple(
        f"{user}@{client or 'local'} ({application or 'no application name'}) has "
        f"{counted(number, 'more session')} doing the same: it will likely come back"
        for (user, client, application), number in again.items()
        if number
    )
