"""account.revoke: an account is no member of its roles any more, and what they allowed it does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import credential_aims as aims
from actions import credential_statements as statements
from actions import draft
from actions.fact_words import ON_ACCOUNT
from actions.locking import own_logins
from actions.session_proof import PartlyRefused
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.memberships import memberships
from console.engine.port import Engine, Need
from console.errors import ActionFailed, UsageError
from console.model.accounts import Account, Membership, label
from console.model.target import ServerIdentity

LISTED = 5


class RevokeArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account` as credential.rotate takes it. `role`: only these, repeated for several;
    else all that it was granted.
    """

    account: str
    role: str | tuple[str, ...] = ()


class RevokeAccount:
    """Nothing is dropped, and rights that were granted to the account itself stay."""

    name = "account.revoke"
    summary = "take an account's roles away; what it owns and what was granted to itself stays"
    risk = Risk.HIGH
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    facts = Facts(
        on={
            "postgresql": On(
                locks="none on tables; the memberships in the catalog, for a moment",
                rights="before 16 `CREATEROLE`; since then the rights of whoever granted the role",
            ),
            "mysql": On(
                locks=ON_ACCOUNT,
                rights="`ROLE_ADMIN` or `SUPER`; the monitor needs `SELECT` on `mysql.role_edges`",
            ),
            "mariadb": On(
                locks=ON_ACCOUNT,
                rights="`ADMIN OPTION` on each role; the monitor needs `SELECT` on `mysql.roles_mapping`",
            ),
        },
        undo="grant the roles again: the plan has the statements",
    )
    Args = RevokeArgs

    async def plan(self, engine: Engine, args: RevokeArgs) -> Plan:
        on = await draft.ground(self, engine)
        rows = aims.rows_of((await engine.accounts()).accounts, args.account, on.server.flavor)
        found = _chosen(await _granted(engine, rows), args)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject={
                "title": f"roles of {' and '.join(label(*one.key) for one in rows)}",
                "user": rows[0].name,
                "memberships": msgspec.to_builtins(found),
            },
            statements=tuple(statements.revoke_role(on.server, one).shown for one in found),
            forecast=_forecast(rows, found),
            warnings=_warnings(on.server, found),
            refusals=(*own_logins(rows, engine.target), *_passed_on(found)),
            undo="; ".join(statements.grant_role(on.server, one).shown for one in found) or "nothing is done",
            observed={_told(one): _how(one) for one in found},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> str:
        return f"credential:{plan.subject['user']}"

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        """PostgreSQL and MariaDB want ADMIN on each role, which only they can tell."""
        if plan.server.flavor != "mysql" or not plan.statements:
            return ()
        return (Need(schema="*", name="*", privileges=("ROLE_ADMIN",), enough=("SUPER",)),)

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises PartlyRefused where the server refused some, ActionFailed where it refused all."""
        found, taken = _of(plan), 0
        refused: list[tuple[Membership, ActionFailed]] = []
        for one in found:
            if operator.watch.stop.is_set():
                break
            try:
                await operator.execute(statements.revoke_role(plan.server, one))
            except ActionFailed as error:
                refused.append((one, error))
                operator.watch.tell(f"{_told(one)}: {error.message}")
                continue
            taken += 1
        if not refused:
            return Result(matched=taken > 0)
        first, why = refused[0]
        if not taken:
            raise ActionFailed(f"{_told(first)}: {why.message}", why.hint)
        raise PartlyRefused(
            f"{taken} of {counted(len(found), 'role')} taken away; {_told(first)}: {why.message}",
            why.hint,
        )

    async def verify(
        self,
        plan: Plan,
        engine: Engine,
        *,
        patience: float,  # noqa: ARG002 - it is in the catalog when the statement is
    ) -> Verdict:
        wanted = _of(plan)
        if not wanted:
            return Verdict(state="applied", summary="it has no such role: there was nothing to take away")
        now = {one.key for one in await memberships(engine, plan.subject["user"])}
        left = [one for one in wanted if one.key in now]
        if not left:
            return Verdict(state="applied", summary=f"{counted(len(wanted), 'role')} taken away")
        told = "; ".join(_told(one) for one in left[:LISTED])
        summary = f"{len(wanted) - len(left)} of {counted(len(wanted), 'role')} taken away; left: {told}"
        return Verdict(state="partial" if len(left) < len(wanted) else "not_applied", summary=summary)


def _of(plan: Plan) -> list[Membership]:
    return msgspec.convert(plan.subject["memberships"], list[Membership])


async def _granted(engine: Engine, rows: Sequence[Account]) -> list[Membership]:
    keys = {one.key for one in rows}
    return [one for one in await memberships(engine, rows[0].name) if (one.member, one.host) in keys]


def _chosen(found: Sequence[Membership], args: RevokeArgs) -> list[Membership]:
    """Raises UsageError for a role that the account was not granted."""
    wanted = [args.role] if isinstance(args.role, str) else list(args.role)
    missing = [role for role in wanted if role not in {one.role for one in found}]
    if missing:
        has = ", ".join(dict.fromkeys(one.role for one in found)) or "none"
        raise UsageError(
            f"{args.account} was not granted {', '.join(missing)} (it has: {has}); nothing was executed",
            "a role it has through another role is taken away there",
        )
    return [one for one in found if not wanted or one.role in wanted]


def _told(one: Membership) -> str:
    return f"{one.role} of {label(one.member, one.host)}" + (f" by {one.grantor}" if one.grantor else "")


def _how(one: Membership) -> str:
    parts = {"admin": one.admin, "inherit": one.inherits, "set": one.becomes}
    return ", ".join(name for name, value in parts.items() if value) or "plain"


def _forecast(rows: Sequence[Account], found: Sequence[Membership]) -> tuple[str, ...]:
    if not found:
        return ("it was granted no role: there is nothing to do",)
    there = sum(one.logins.total for one in rows if one.logins is not None)
    return (
        f"{counted(len(found), 'role')}: {', '.join(dict.fromkeys(one.role for one in found))}",
        f"it has {counted(there, 'session')} now, and whoever logs in as it has less from then on",
        "rights that were granted to it directly, and what it owns, stay",
    )


def _warnings(server: ServerIdentity, found: Sequence[Membership]) -> tuple[str, ...]:
    said: list[Any] = []
    if found and server.flavor != "postgresql":
        said.append("sessions that have set the role keep its rights until they set another, or end")
        said.append("a default role is forgotten with it: granting it again does not SET DEFAULT ROLE again")
    return tuple(said)


def _passed_on(found: Sequence[Membership]) -> tuple[str, ...]:
    """PostgreSQL would refuse, or take the role from all of them."""
    return tuple(
        f"{one.member} has passed {one.role} on to {', '.join(one.passed_on[:LISTED])}: take that "
        "back, or grant it by somebody else, first"
        for one in found
        if one.passed_on
    )
