"""credential.rotate: a new password, kept before the server is told, and proved before the old one goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import credential_aims as aims
from actions import credential_choice as choice
from actions import credential_fingerprints as fingerprints
from actions import credential_own as own
from actions import credential_pairs as pairs
from actions import credential_proof as proof
from actions import credential_ready as readiness
from actions import credential_spare as spare
from actions import credential_statements as statements
from actions import draft, propagating, rotating
from actions.credential_aims import Aim, aims_of
from actions.credential_choice import RotateArgs
from actions.credential_words import forecast, warnings
from actions.fact_words import SETS_PASSWORDS
from actions.hook_carrier import Outcome
from actions.session_proof import PartlyRefused
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts
from console.dispatch.memory import Memory
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need
from console.errors import ActionFailed, DbdeckError, OutcomeUnknown, PasswordRefused, Refused, UsageError
from console.model.accounts import Account, Accounts, label
from console.model.target import ServerIdentity
from console.secret_store import SecretStore

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")


class RotateCredential:
    """Moves: pending stored, one ALTER, login with it, promoted; each is recorded before it is made."""

    name = "credential.rotate"
    summary = (
        "give an account a new password, kept in the keyring before the server is told; old one until retired"
    )
    risk = Risk.MEDIUM
    flavors = FLAVORS
    facts = Facts(
        on=SETS_PASSWORDS,
        undo="nothing: the old password is kept in the store until `credential.retire`, and with an "
        "overlap (MySQL, MariaDB, two roles that take turns) it stays valid until then",
    )
    Args = RotateArgs

    async def plan(self, engine: Engine, args: RotateArgs) -> Plan:
        return await self.plan_kept(engine, args, Memory())

    async def plan_kept(self, engine: Engine, args: RotateArgs, memory: Memory) -> Plan:
        on = await draft.ground(self, engine)
        read = await own.accounts(engine, choice.names(args))
        found = await memory.judge(engine, read) if args.overdue else read
        given, left_out = await _given(engine, on.server, found, args, memory)
        if args.alternate:
            given = [await pairs.turned(given[0], args.alternate, found.accounts, memory.store)]
        keys = {key for aim in given for key in aim.keys}
        touched = [row for row in read.accounts if row.key in keys]
        told = await propagating.told(given, engine.target)
        unsure = (
            (*spare.of_unknown_age(found.accounts), *found.notes[len(read.notes) :]) if args.overdue else ()
        )
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=_frozen(args, given),
            subject={
                "title": _title(given, left_out),
                "accounts": aims.frozen(given),
                spare.LEFT_OUT: left_out,
            },
            statements=(*(_shown(on.server, aim) for aim in given), *told.effects),
            confirm=args.plaintext,
            forecast=(*_seen_first(args), *forecast(given, touched), *told.forecast),
            warnings=(*warnings(given, touched, engine.target), *told.warnings, *_left(left_out), *unsure),
            undo=_undo(given),
            observed={f"account {label}": value for label, value in _observed(touched)},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> tuple[str, ...]:
        users = (user for aim in aims_of(plan) for user in (aim.user, aim.pair) if user)
        return tuple(f"credential:{user}" for user in users)

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        return tuple(need for aim in aims_of(plan) for need in own.needs(aim))

    def apart(self, plan: Plan) -> Mapping[str, tuple[Need, ...]]:
        return {aim.label: own.needs(aim) for aim in aims_of(plan)} if spare.spares(plan) else {}

    def without(self, plan: Plan, why: Mapping[str, str]) -> Plan:
        return spare.without(plan, why)

    # ---- before the intent ----------------------------------------------------------------------

    async def ready(self, plan: Plan, engine: Engine, store: SecretStore | None) -> dict[str, Any]:
        """The store keeps what it is given, the stored password is the right one, and a wrong one is not."""
        if store is None:
            raise Refused("there is no keyring to keep the new password in; nothing was executed")
        readiness.refuse_volatile(store)
        await store.canary()
        unverified = bool(plan.args.get("unverified"))
        known: dict[str, bool] = {}
        unfit: dict[str, str] = {}
        for aim in spare.going(plan):
            try:
                known[aim.label] = await readiness.ready(aim, engine, store, unverified=unverified)
            except Refused as error:
                if not spare.spares(plan):
                    raise
                unfit[aim.label] = spare.reason(error)
        left = spare.without(plan, unfit).evidence.get(spare.LEFT_OUT, {})
        return {"store": store.name, "known": known, spare.LEFT_OUT: left}

    # ---- the effect -----------------------------------------------------------------------------

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """One account after the other; what stands still for one of them ends the run."""
        done: list[str] = []
        handed: dict[str, tuple[Outcome, ...]] = {}
        key = await fingerprints.key_for(operator)
        known = plan.evidence.get("known", {})
        left = dict(spare.left_out(plan))
        for aim in spare.going(plan):
            one = rotating.Rotation(aim, plan.server, operator, known=bool(known.get(aim.label)))
            try:
                await one.run()
            except PasswordRefused as error:
                if not spare.spares(plan):
                    raise _some_done(done, error) from None
                left[aim.label] = spare.reason(error)
                operator.watch.tell(f"{aim.label}: left out: {error.message}")
                continue
            except DbdeckError as error:
                if not done or isinstance(error, OutcomeUnknown):
                    raise
                raise _some_done(done, error) from None
            finally:
                operator.evidence.setdefault("moves", {})[aim.label] = one.moves
            done.append(aim.label)
            await fingerprints.mark(aim, operator, key, one.verifier)
            operator.watch.tell(f"{aim.label}: rotated")
            await one.report()
            handed[aim.user] = await propagating.propagate(aim, operator, one.verifier)
            if operator.watch.stop.is_set():
                break
        if left:
            operator.evidence[spare.LEFT_OUT] = left
        _tell_rest(done, left, propagating.complaints(handed, operator.engine.target))
        return Result(matched=bool(done))

    # ---- the proof ------------------------------------------------------------------------------

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return await self.verify_kept(plan, engine, None, patience=patience)

    async def verify_kept(
        self,
        plan: Plan,
        engine: Engine,
        store: SecretStore | None,
        *,
        patience: float,  # noqa: ARG002 - a login is accepted or not
    ) -> Verdict:
        if store is None:
            return Verdict(state="undecidable", summary="there is no keyring to look into")
        seen = [(aim, await proof.seen(aim, engine, store, plan.evidence)) for aim in spare.going(plan)]
        done = [aim for aim, (state, _) in seen if state == "done"]
        found = await fingerprints.found(done, engine, store, plan.evidence)
        return proof.verdict([one for _, one in seen], spare.told(spare.left_out(plan))).with_evidence(found)

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:  # noqa: ARG002 - the store tells
        """The same rotation goes on: what it has done already is seen, not done again."""
        going = spare.going(plan)
        names = {"account": _names(going)} if spare.left_out(plan) else {}
        # A plan of days ago may be gone on with: VALID UNTIL moves from then.
        anew = {"valid_until": "", "rotation": [aim.rotation for aim in going]}
        return {**plan.args, **names, **anew} if going else {}


# ---- planning ------------------------------------------------------------------------------------


async def _given(
    engine: Engine, server: ServerIdentity, found: Accounts, args: RotateArgs, memory: Memory
) -> tuple[list[Aim], dict[str, str]]:
    """And whom a run that leaves out leaves out, with the reason. Raises UsageError in any other run."""
    chosen = choice.chosen(found, args, server)
    going_on = choice.rotations(args) or ("",) * len(chosen)
    given: list[Aim] = []
    left_out: dict[str, str] = {}
    for rows, rotation in zip(chosen, going_on, strict=True):
        try:
            aim = choice.aim(engine, server, rows, found, (args, rotation))
            aim = await own.by_own_right(aim, rows, engine, server)
            aim = await _gone_on(aim, memory) if rotation else aim
            await propagating.told([aim], engine.target)
        except UsageError as error:
            if not (args.overdue or args.leave_out):
                raise
            left_out[" and ".join(label(*one.key) for one in rows)] = spare.reason(error)
        else:
            given.append(aim)
    return given, left_out


async def _gone_on(aim: Aim, memory: Memory) -> Aim:
    """With what earlier runs of the same rotation did that no look can tell."""
    if not any(hook.exec for hook in aim.hooks):
        return aim
    handed = await memory.handed(aim.rotation)
    return msgspec.structs.replace(aim, handed=tuple(sorted(handed or ())), unsure=handed is None)


def _seen_first(args: RotateArgs) -> tuple[str, ...]:
    if not choice.rotations(args):
        return ()
    return (
        "it goes on: what is done already is seen, and what is pending is tried before the server is told",
    )


def _left(out: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each: a plan is read to the end."""
    return tuple(spare.told({name: why}) for name, why in out.items())


def _some_done(done: Sequence[str], error: DbdeckError) -> DbdeckError:
    if not done:
        return error
    return PartlyRefused(f"{counted(len(done), 'account')} done; {error.message}", error.hint)


def _tell_rest(done: Sequence[str], left: Mapping[str, str], hooks: tuple[str, str] | None) -> None:
    """Raises PartlyRefused where an account was left out, or a hook was not done; what is done stays done."""
    said, hint = hooks or ("", "")
    if left and not done:
        raise ActionFailed(f"nobody was rotated: {spare.told(left)}")
    if left:
        said = "; ".join(filter(None, (f"{counted(len(done), 'account')} rotated; {spare.told(left)}", said)))
        hint = hint or "mend that, and run it again: it takes what is overdue then"
    if said:
        raise PartlyRefused(said, hint)


def _shown(server: ServerIdentity, aim: Aim) -> str:
    how = statements.shown_in_clear if aim.plaintext else statements.shown
    return how(server, aim.keys, aim.new)


def _frozen(args: RotateArgs, given: Sequence[Aim]) -> dict[str, Any]:
    """With the accounts by name, and the end of what is set; the id of a rotation is that of one account."""
    ends = next((aim.valid_until for aim in given if aim.valid_until is not None), None)
    found: dict[str, Any] = msgspec.to_builtins(args)
    found["valid_until"] = ends.isoformat() if ends else ""
    if args.alternate or not given:
        return found
    return found | {
        "account": _names(given),
        "overdue": False,
        "leave_out": args.leave_out or args.overdue,
    }


def _names(given: Sequence[Aim]) -> str | list[str]:
    names = [aim.user if len(aim.keys) > 1 else aim.label for aim in given]
    return names[0] if len(names) == 1 else names


def _title(given: Sequence[Aim], left_out: Mapping[str, str]) -> str:
    if len(given) == 1:
        return f"rotate {given[0].label}"
    if given:
        return f"rotate {counted(len(given), 'account')}"
    return f"rotate: none of {len(left_out)} can be" if left_out else "rotate: nothing is overdue"


def _undo(given: Sequence[Aim]) -> str:
    if not given:
        return "there is nothing to undo"
    if all(aim.overlap for aim in given):
        return "the old password stays valid until credential.retire"
    return "nothing undoes it; the old password stays in the keyring under #previous"


def _observed(rows: Sequence[Account]) -> list[tuple[str, str | None]]:
    """What tells that somebody else was faster."""
    return [
        ("@".join(part for part in one.key if part is not None),
         one.changed_at.isoformat() if one.changed_at else ", ".join(map(str, one.kinds or ())))
        for one in rows
    ]  # fmt: skip
