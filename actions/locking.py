"""credential.lock: nobody logs in as an account any more, or somebody may again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from actions import credential_aims as aims
from actions import credential_statements as statements
from actions import draft
from actions.credential_statements import Key
from actions.fact_words import ACCOUNTS
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need, Statement
from console.errors import UsageError
from console.model.accounts import Account, label
from console.model.target import ServerIdentity, Target

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
LISTED = 5


class LockArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account` as credential.rotate takes it. `unlock` lets it in again."""

    account: str
    unlock: bool = False


class LockCredential:
    """Sessions that are there stay; `session.terminate` ends them."""

    name = "credential.lock"
    summary = "let nobody log in as an account any more, or let it in again; its sessions stay"
    risk = Risk.HIGH
    flavors = FLAVORS
    facts = Facts(on=ACCOUNTS, undo="`unlock=true`, or without it the lock again")
    Args = LockArgs

    async def plan(self, engine: Engine, args: LockArgs) -> Plan:
        on = await draft.ground(self, engine)
        rows = aims.rows_of((await engine.accounts()).accounts, args.account, on.server.flavor)
        keys = tuple(one.key for one in rows)
        if any(one.role for one in rows) and on.server.flavor != "postgresql":
            raise UsageError(f"{args.account} is a role that nobody logs in as; nothing was executed")
        statement = _statement(on.server, keys, unlock=args.unlock)
        verb = "unlock" if args.unlock else "lock"
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject={
                "title": f"{verb} {' and '.join(label(*key) for key in keys)}",
                "keys": [list(key) for key in keys],
                "unlock": args.unlock,
            },
            statements=(statement.shown,),
            forecast=_forecast(rows, unlock=args.unlock),
            warnings=() if args.unlock else _warnings(rows),
            refusals=() if args.unlock else own_logins(rows, engine.target),
            undo=_statement(on.server, keys, unlock=not args.unlock).shown,
            observed={label(*one.key): one.may_login for one in rows},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"credential:{name}" for name, _ in _keys(plan)))

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        names = dict.fromkeys(name for name, _ in _keys(plan))
        return tuple(Need(schema="*", name="*", role=name, privileges=("CREATE USER",)) for name in names)

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        await operator.execute(_statement(plan.server, _keys(plan), unlock=plan.subject["unlock"]))
        return Result(matched=True)

    async def verify(
        self,
        plan: Plan,
        engine: Engine,
        *,
        patience: float,  # noqa: ARG002 - it is in the catalog when the statement is
    ) -> Verdict:
        keys, wanted = _keys(plan), bool(plan.subject["unlock"])
        rows = [one for one in (await engine.accounts()).accounts if one.key in keys]
        if len(rows) != len(keys):
            return Verdict(state="undecidable", summary="an account of it is not there any more")
        done = [one for one in rows if one.may_login is wanted]
        word = "unlocked" if wanted else "locked"
        summary = f"{len(done)} of {counted(len(rows), 'account')} {word}"
        if len(done) == len(rows):
            return Verdict(state="applied", summary=summary)
        return Verdict(state="partial" if done else "not_applied", summary=summary)


def _keys(plan: Plan) -> tuple[Key, ...]:
    return tuple((name, host) for name, host in plan.subject["keys"])


def _statement(server: ServerIdentity, keys: Sequence[Key], *, unlock: bool) -> Statement:
    return (statements.unlock if unlock else statements.lock)(server, keys)


def own_logins(rows: Sequence[Account], target: Target) -> tuple[str, ...]:
    """dbdeck does not lock itself out."""
    own = {one.user for one in (target.monitor, target.operator) if one is not None}
    return tuple(
        f"dbdeck itself logs in to {target.name} as {name}"
        for name in dict.fromkeys(one.name for one in rows)
        if name in own
    )


def _forecast(rows: Sequence[Account], *, unlock: bool) -> tuple[str, ...]:
    if unlock:
        return ("it may log in again, with the password it had",)
    there = sum(one.logins.total for one in rows if one.logins is not None)
    said = (
        f"{counted(there, 'session')} of it stay, and end with `session.terminate`"
        if there
        else "it has no session now"
    )
    return (said, "whoever logs in as it is refused from then on")


def _warnings(rows: Sequence[Account]) -> tuple[str, ...]:
    depend = [(one, dependent) for one in rows for dependent in one.dependents]
    return tuple(
        f"{dependent.kind} {dependent.name} logs in as {label(*one.key)}: it breaks {dependent.breaks}"
        for one, dependent in depend[:LISTED]
    )
