"""credential.retire: the old password ends, once nobody is logged in with it any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import credential_aims as aims
from actions import credential_own as own
from actions import credential_statements as statements
from actions import draft, rotating
from actions.credential_aims import Aim, aims_of
from actions.fact_words import SETS_PASSWORDS
from actions.propagating import undone
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts
from console.dispatch.memory import Memory
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need
from console.errors import ActionFailed, Refused, UsageError
from console.model.accounts import Account
from console.model.drain import Drain, drain
from console.model.hooks import named
from console.model.probe import Answer
from console.model.target import ServerIdentity
from console.model.verifiers import VerifierKind, make
from console.secret_store import SecretStore
from console.secrets import PREVIOUS, Entry

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
LISTED = 5


class RetireArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account` as credential.rotate takes it. `override` goes on while sessions from before the rotation are
    there: the target's name has to be typed.
    """

    account: str
    override: bool = False


class RetireCredential:
    """Sessions are not ended by it; they keep what they have until they log in again."""

    name = "credential.retire"
    summary = "end the old password of an account, once its sessions from before the rotation are gone"
    risk = Risk.MEDIUM
    flavors = FLAVORS
    facts = Facts(on=SETS_PASSWORDS, undo="nothing: the old password is forgotten")
    Args = RetireArgs

    async def plan(self, engine: Engine, args: RetireArgs) -> Plan:
        return await self.plan_kept(engine, args, Memory())

    async def plan_kept(self, engine: Engine, args: RetireArgs, memory: Memory) -> Plan:
        on = await draft.ground(self, engine)
        found = await own.accounts(engine, [args.account])
        rows = aims.rows_of(found.accounts, args.account, on.server.flavor)
        aim = _aim(engine, on.server, rows)
        current, _, previous = await _entries(aim, memory.store)
        turn = _turn_over(current, previous)
        overlap = any(one.overlap for one in rows) or bool(turn)
        if turn:
            aim = msgspec.structs.replace(aim, user=turn, keys=((turn, None),), pair=turn)
        seen = await _drain(aim, current, engine, on.server, overlap=overlap)
        if previous is None and not overlap:
            raise UsageError(
                f"{aim.label}: no old password is kept or valid: there is nothing to retire; "
                "nothing was executed",
                "`dbdeck show drain` lists what is",
            )
        name = engine.target.name
        left = undone(
            await memory.ends("credential.rotate", name, settled=True),
            await memory.ends("credential.propagate", name),
            aim.label,
            [one.label for one in named(aims.hooks_of(engine.target, rows[0].name))],
        )
        return Plan(
            action=self.name,
            target=name,
            risk=self.risk,
            args={"account": args.account, "override": args.override},
            subject={
                "title": f"retire the old password of {aim.label}",
                "accounts": aims.frozen([aim]),
                "overlap": overlap,
                "own": _is_own(aim, engine),
            },
            statements=_shown(on.server, aim) if overlap else (),
            forecast=_forecast(seen, overlap=overlap),
            warnings=_warnings(name, args.account, left),
            refusals=() if args.override else _refusals(seen),
            confirm=args.override and not seen.drained,
            undo="nothing undoes it: the old password is forgotten",
            observed={"rotation": current.rotation if current else None, "overlap": overlap},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> tuple[str, ...]:
        return tuple(f"credential:{aim.user}" for aim in aims_of(plan))

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        if not plan.statements:
            return ()
        of = own.TO_KEEP_BOTH if plan.subject.get("own") else own.OF_OTHERS
        return tuple(msgspec.structs.replace(of, role=aim.user) for aim in aims_of(plan))

    async def ready(self, plan: Plan, engine: Engine, store: SecretStore | None) -> dict[str, Any]:
        """The new password has to log in before the old one goes."""
        (aim,) = aims_of(plan)
        current, pending, _ = await _entries(aim, store)
        if pending is not None:
            raise Refused(
                f"{aim.label}: a rotation of it is not at its end: a pending password is kept; "
                "nothing was executed",
                "`dbdeck apply --resume` it first; `dbdeck audit list` has its id",
            )
        if current is None:
            raise Refused(
                f"{aim.label}: the keyring has no password of it, so that none would be known; "
                "nothing was executed",
                f"`dbdeck secret set {aim.entry}`",
            )
        user = current.user or aim.user
        seen = await engine.probe(user, current.password)
        if seen.answer is not Answer.ACCEPTED or rotating.misled(aim, seen, user):
            why = rotating.misled(aim, seen, user) or seen.why
            raise Refused(f"{aim.label}: the current password does not log in ({why}); nothing was executed")
        return {"store": store.name if store else ""}

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        (aim,) = aims_of(plan)
        current, _, previous = await rotating.entries(operator.secrets, aim.entry)
        if plan.subject["overlap"] and current is not None:
            await operator.execute(_statement(plan.server, aim, current))
        if previous is not None and not aim.control:
            operator.evidence["old"] = "not tried: one or two wrong passwords block the account"
        elif previous is not None:
            seen = await operator.engine.probe(previous.user or aim.user, previous.password)
            operator.evidence["old"] = f"{seen.answer}{f' ({seen.why})' if seen.why else ''}"
            if seen.answer is Answer.ACCEPTED:
                raise ActionFailed(
                    f"{aim.label}: the old password still logs in; it is kept",
                    "does the account have another row, or does the server not look at passwords?",
                )
        if previous is not None:
            await operator.forget(aim.entry + PREVIOUS, "retired")
        return Result(matched=True)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return await self.verify_kept(plan, engine, None, patience=patience)

    async def verify_kept(
        self,
        plan: Plan,
        engine: Engine,
        store: SecretStore | None,
        *,
        patience: float,  # noqa: ARG002 - it is done or not
    ) -> Verdict:
        (aim,) = aims_of(plan)
        _, _, previous = await _entries(aim, store)
        found = await own.accounts(engine, aim.identities)
        rows = [one for one in found.accounts if one.key in aim.keys]
        if plan.subject["overlap"] and any(one.overlap is None for one in rows):
            return Verdict(
                state="undecidable", summary=f"{aim.label}: whether two passwords are valid is unknown"
            )
        if any(one.overlap or (aim.pair and one.may_login) for one in rows):
            return Verdict(state="not_applied", summary=f"{aim.label}: the old password is still valid")
        if previous is not None:
            state = "partial" if plan.subject["overlap"] else "not_applied"
            return Verdict(state=state, summary=f"{aim.label}: the old password is still kept")  # type: ignore[arg-type]
        return Verdict(state="applied", summary=f"{aim.label}: the old password is neither valid nor kept")

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:  # noqa: ARG002 - it is seen
        return dict(plan.args)


# ---- planning ------------------------------------------------------------------------------------


def _aim(engine: Engine, server: ServerIdentity, rows: Sequence[Account]) -> Aim:
    """The kind of verifier that stays is the account's own."""
    kinds = [kind for one in rows for kind in one.kinds or () if kind.makeable]
    return Aim(
        user=rows[0].name,
        keys=tuple(one.key for one in rows),
        entry=aims.entry_name(engine.target, rows[0].name),
        rotation="",
        kind=kinds[0] if kinds else VerifierKind.OTHER,
        control=aims.may_be_tried(rows),
        flavor=server.flavor,
    )


def _is_own(aim: Aim, engine: Engine) -> bool:
    """MySQL lets an account end its own old password with less than CREATE USER."""
    operator = engine.target.operator
    return aim.flavor == "mysql" and operator is not None and operator.user == aim.user


async def _entries(aim: Aim, store: SecretStore | None) -> tuple[Entry | None, Entry | None, Entry | None]:
    return (None, None, None) if store is None else await rotating.entries(store, aim.entry)


def _turn_over(current: Entry | None, previous: Entry | None) -> str:
    """The one of two roles that take turns whose turn is over; empty where it is one account."""
    if current is None or previous is None or not (current.user and previous.user):
        return ""
    return "" if previous.user == current.user else previous.user


async def _drain(
    aim: Aim, current: Entry | None, engine: Engine, server: ServerIdentity, *, overlap: bool
) -> Drain:
    rotation = (current.made_at, current.session) if current is not None and current.rotation else (None, 0)
    if aim.pair:
        rotation = (datetime(9000, 1, 1, tzinfo=UTC), 0)  # all of its sessions are from before
    return drain(aim.user, rotation, await engine.sessions(), server, overlap=overlap)


def _statement(server: ServerIdentity, aim: Aim, current: Entry) -> Any:
    if aim.pair:
        return statements.shut_out(server, aim.keys)
    if server.flavor == "mysql":
        return statements.discard_old(server, aim.keys)
    return statements.set_password(server, aim.keys, aim.new, make(aim.kind, current.password))


def _shown(server: ServerIdentity, aim: Aim) -> tuple[str, ...]:
    if aim.pair:
        return (statements.shut_out(server, aim.keys).shown,)
    if server.flavor == "mysql":
        return (statements.discard_old(server, aim.keys).shown,)
    return (statements.shown(server, aim.keys, aim.new),)


def _refusals(seen: Drain) -> tuple[str, ...]:
    if seen.drained:
        return ()
    if seen.older is None:
        return (
            f"how many sessions of {seen.user} are from before the rotation cannot be told; override=true "
            "goes on, with the target's name typed",
        )
    return (
        f"{counted(seen.older, 'session')} of {seen.user} began before the rotation, and would be locked out "
        "at their next login; override=true goes on, with the target's name typed",
    )


def _warnings(target: str, account: str, left: Sequence[str]) -> tuple[str, ...]:
    """A session that is gone comes back with the password that its client was given."""
    if not left:
        return ()
    chosen = " ".join(f"hook={one}" for one in left)
    return (
        f"{counted(len(left), 'hook')} of its rotation {'is' if len(left) == 1 else 'are'} not known to be "
        f"done ({', '.join(left)}): whoever they supply may still have the old password; "
        f"`dbdeck apply credential.propagate -t {target} account={account} {chosen}` first",
    )


def _forecast(seen: Drain, *, overlap: bool) -> tuple[str, ...]:
    said = [
        f"{counted(one.sessions, 'session')} from before: {one.application or 'unknown'}"
        f" at {one.client or 'local'}"
        for one in seen.groups[:LISTED]
    ]
    if overlap:
        said.append("the old password is refused from then on, and who logs in with it is locked out")
        if seen.newer:
            said.append(
                f"{counted(seen.newer, 'session')} began since, and may have used either: no server tells"
            )
    else:
        said.append("the server has forgotten the old password already; it is removed from the keyring")
    return tuple(said)
