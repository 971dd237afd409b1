"""credential.rotate: a new password, kept before the server is told, and proved before the old one goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import credential_aims as aims
from actions import credential_choice as choice
from actions import credential_fingerprints as fingerprints
from actions import credential_pairs as pairs
from actions import credential_proof as proof
from actions import credential_ready as readiness
from actions import credential_statements as statements
from actions import draft, propagating, rotating
from actions.credential_aims import Aim, aims_of
from actions.credential_choice import RotateArgs
from actions.credential_words import forecast, warnings
from actions.hook_carrier import Outcome
from actions.session_proof import PartlyRefused
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need
from console.errors import DbdeckError, OutcomeUnknown, Refused, UsageError
from console.model.accounts import Account, judged
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
    Args = RotateArgs

    async def plan(self, engine: Engine, args: RotateArgs) -> Plan:
        return await self.plan_kept(engine, args, None)

    async def plan_kept(self, engine: Engine, args: RotateArgs, store: SecretStore | None) -> Plan:
        on = await draft.ground(self, engine)
        found = judged(await engine.accounts(), engine.target.rotation)
        chosen = choice.chosen(found, args, on.server)
        going_on = choice.rotations(args) or ("",) * len(chosen)
        given, left_out = [], []
        for rows, rotation in zip(chosen, going_on, strict=True):
            try:
                given.append(choice.aim(engine, on.server, rows, found, (args, rotation)))
            except UsageError as error:
                if not args.overdue:
                    raise
                left_out.append(f"left out: {error.message.removesuffix('; nothing was executed')}")
        if args.alternate:
            given = [await pairs.turned(given[0], args.alternate, found.accounts, store)]
        keys = {key for aim in given for key in aim.keys}
        touched = [row for some in chosen for row in some if row.key in keys]
        told = await propagating.told(given, engine.target)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=_frozen(args, given),
            subject={"title": _title(given), "accounts": aims.frozen(given)},
            statements=(*(_shown(on.server, aim) for aim in given), *told.effects),
            confirm=args.plaintext,
            forecast=(*forecast(given, touched), *told.forecast),
            warnings=(*warnings(given, touched, engine.target), *told.warnings, *left_out),
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
        """CREATE USER on MySQL and MariaDB; what PostgreSQL asks for is asked of the role itself."""
        given = aims_of(plan)
        found = [Need(schema="*", name="*", role=aim.user, privileges=("CREATE USER",)) for aim in given]
        if plan.server.flavor == "mariadb" and any(aim.plaintext for aim in given):
            found.append(Need(schema="mysql", name="*", privileges=("UPDATE",)))  # of SET PASSWORD
        return tuple(found)

    # ---- before the intent ----------------------------------------------------------------------

    async def ready(self, plan: Plan, engine: Engine, store: SecretStore | None) -> dict[str, Any]:
        """The store keeps what it is given, the stored password is the right one, and a wrong one is not."""
        if store is None:
            raise Refused("there is no keyring to keep the new password in; nothing was executed")
        readiness.refuse_volatile(store)
        await store.canary()
        unverified = bool(plan.args.get("unverified"))
        known = [await readiness.ready(aim, engine, store, unverified=unverified) for aim in aims_of(plan)]
        return {"store": store.name, "known": known}

    # ---- the effect -----------------------------------------------------------------------------

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """One account after the other; what stands still for one of them ends the run."""
        done: list[str] = []
        handed: dict[str, tuple[Outcome, ...]] = {}
        key = await fingerprints.key_for(operator)
        for place, aim in enumerate(aims_of(plan)):
            known = plan.evidence.get("known", [])
            one = rotating.Rotation(
                aim, plan.server, operator, known=bool(known[place]) if place < len(known) else False
            )
            try:
                await one.run()
            except DbdeckError as error:
                if not done or isinstance(error, OutcomeUnknown):
                    raise
                raise PartlyRefused(
                    f"{counted(len(done), 'account')} done; {error.message}", error.hint
                ) from None
            finally:
                operator.evidence.setdefault("moves", {})[aim.label] = one.moves
            done.append(aim.label)
            await fingerprints.mark(aim, operator, key, one.verifier)
            operator.watch.tell(f"{aim.label}: rotated")
            await one.report()
            handed[aim.user] = await propagating.propagate(aim, operator, one.verifier)
            if operator.watch.stop.is_set():
                break
        propagating.tell_failed(handed, operator.engine.target)
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
        seen = [(aim, await proof.seen(aim, engine, store, plan.evidence)) for aim in aims_of(plan)]
        done = [aim for aim, (state, _) in seen if state == "done"]
        found = await fingerprints.found(done, engine, store, plan.evidence)
        return proof.verdict([one for _, one in seen]).with_evidence(found)

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:  # noqa: ARG002 - the store tells
        """The same rotation goes on: what it has done already is seen, not done again."""
        return {**plan.args, "rotation": [aim.rotation for aim in aims_of(plan)]}


# ---- planning ------------------------------------------------------------------------------------


def _shown(server: ServerIdentity, aim: Aim) -> str:
    how = statements.shown_in_clear if aim.plaintext else statements.shown
    return how(server, aim.keys, aim.new)


def _frozen(args: RotateArgs, given: Sequence[Aim]) -> dict[str, Any]:
    """With the accounts by name; the id of a rotation is that of one account."""
    found: dict[str, Any] = msgspec.to_builtins(args)
    if args.alternate:
        return found
    names = [aim.user if len(aim.keys) > 1 else aim.label for aim in given]
    found |= {"account": names[0] if len(names) == 1 else names, "overdue": not names}
    return found


def _title(given: Sequence[Aim]) -> str:
    if len(given) == 1:
        return f"rotate {given[0].label}"
    return f"rotate {counted(len(given), 'account')}" if given else "rotate: nothing is overdue"


def _undo(given: Sequence[Aim]) -> str:
    if given and all(aim.overlap for aim in given):
        return "the old password stays valid until credential.retire"
    return "nothing undoes it; the old password stays in the keyring under #previous"


def _observed(rows: Sequence[Account]) -> list[tuple[str, str | None]]:
    """What tells that somebody else was faster."""
    return [
        ("@".join(part for part in one.key if part is not None),
         one.changed_at.isoformat() if one.changed_at else ", ".join(map(str, one.kinds or ())))
        for one in rows
    ]  # fmt: skip
