"""credential.propagate: hand the current secret of an account on to those who need it, by its hooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import credential_aims as aims
from actions import draft, propagating, rotating
from actions.credential_aims import Aim, aims_of
from actions.hook_carrier import Outcome, State
from actions.session_proof import PartlyRefused
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import ActionFailed, Refused, UsageError
from console.model.accounts import Accounts
from console.model.hooks import named
from console.model.probe import Answer
from console.model.target import ServerIdentity, Target
from console.model.verifiers import VerifierKind
from console.secret_store import SecretStore
from console.secrets import PENDING

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")


class PropagateArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account`: whose current secret; repeated for several. `hook`: only these of its hooks, by their names
    in the config; all of them without.
    """

    account: str | tuple[str, ...]
    hook: str | tuple[str, ...] = ()


class PropagateCredential:
    """Only what the checks find undone is done; a program is run whenever it is asked for."""

    name = "credential.propagate"
    summary = "hand the current password of an account on: client files, PgBouncer, programs of yours"
    risk = Risk.MEDIUM
    flavors = FLAVORS
    facts = Facts(
        on=dict.fromkeys(
            FLAVORS,
            On(
                locks="none: nothing of the server is changed",
                rights="none on the server, where the new password logs in; here, to write the files and "
                "to run the programs; of PgBouncer one of its `admin_users`",
            ),
        ),
        undo="nothing: hand on again once another password is the current one",
    )
    Args = PropagateArgs

    async def plan(self, engine: Engine, args: PropagateArgs) -> Plan:
        on = await draft.ground(self, engine)
        given = _aims(engine.target, on.server, await engine.accounts(), args)
        told = await propagating.told(given, engine.target)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject={"title": _title(given), "accounts": aims.frozen(given)},
            statements=told.effects,
            forecast=(*told.forecast, "what its check finds done already is left as it is"),
            warnings=told.warnings,
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> tuple[str, ...]:
        return tuple(f"credential:{aim.user}" for aim in aims_of(plan))

    async def ready(self, plan: Plan, engine: Engine, store: SecretStore | None) -> dict[str, Any]:
        """What is handed on is what the server takes: an entry that is missing or wrong is refused."""
        if store is None:
            raise Refused("there is no keyring to take the password from; nothing was executed")
        for aim in aims_of(plan):
            await _ready(aim, engine, store)
        return {"store": store.name}

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        found = {aim.user: await propagating.propagate(aim, operator) for aim in aims_of(plan)}
        return settled(found, operator.engine.target)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return await self.verify_kept(plan, engine, None, patience=patience)

    async def verify_kept(
        self,
        plan: Plan,
        engine: Engine,
        store: SecretStore | None,
        *,
        patience: float,  # noqa: ARG002 - a check is right or not
    ) -> Verdict:
        if store is None:
            return Verdict(state="undecidable", summary="there is no keyring to look into")
        found = [
            (aim.label, one)
            for aim in aims_of(plan)
            for one in await propagating.outcomes(aim, engine, store, plan.evidence)
        ]
        summary = "; ".join(f"{label}: hook {one.text}" for label, one in found)
        if any(propagating.unseen(label, one, plan.evidence) for label, one in found):
            return Verdict(state="undecidable", summary=summary)
        done = [one.state is State.DONE for _, one in found]
        state = "applied" if all(done) else "partial" if any(done) else "not_applied"
        return Verdict(state=state, summary=summary)  # type: ignore[arg-type]

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:  # noqa: ARG002 - the checks tell
        return {**plan.args}


def settled(found: dict[str, tuple[Outcome, ...]], target: Target) -> Result:
    """Raises ActionFailed where no hook was done, PartlyRefused where some were."""
    missed = {user: propagating.failed(some) for user, some in found.items() if propagating.failed(some)}
    every = [one for some in found.values() for one in some]
    if not missed:
        return Result(matched=any(not one.again for one in every))
    message = "; ".join(f"{user}: {propagating.complaint(found[user])}" for user in missed)
    hint = propagating.again(target, missed)
    if all(one.state is not State.DONE for one in every):
        raise ActionFailed(message, hint)
    raise PartlyRefused(message, hint)


def _aims(target: Target, server: ServerIdentity, found: Accounts, args: PropagateArgs) -> list[Aim]:
    """Raises UsageError for an account without hooks, and for a hook that it does not have."""
    names = [args.account] if isinstance(args.account, str) else list(args.account)
    only = (args.hook,) if isinstance(args.hook, str) else args.hook
    if not names:
        raise UsageError("which account? nothing was executed", "give account=NAME")
    return [
        _aim(target, server, aims.rows_of(found.accounts, name, server.flavor), only)
        for name in dict.fromkeys(names)
    ]


def _aim(target: Target, server: ServerIdentity, rows: Sequence[Any], only: tuple[str, ...]) -> Aim:
    user = rows[0].name
    hooks = aims.hooks_of(target, user)
    if not hooks:
        raise UsageError(
            f"{user} has no hooks; nothing was executed",
            f"write them below rotation.targets.{target.name}.accounts.{user}.hooks of the config",
        )
    labels = [one.label for one in named(hooks)]
    unknown = [one for one in only if one not in labels]
    if unknown:
        raise UsageError(
            f"{user} has no hook {', '.join(unknown)}; nothing was executed", f"it has: {', '.join(labels)}"
        )
    return Aim(
        user=user,
        keys=tuple(row.key for row in rows),
        entry=aims.entry_name(target, user),
        rotation="",
        kind=VerifierKind.OTHER,
        flavor=server.flavor,
        hooks=hooks,
        only=only,
    )


def _title(given: Sequence[Aim]) -> str:
    if len(given) == 1:
        return f"hand on the password of {given[0].label}"
    return f"hand on the passwords of {counted(len(given), 'account')}"


async def _ready(aim: Aim, engine: Engine, store: SecretStore) -> None:
    current, pending, _ = await rotating.entries(store, aim.entry)
    if current is None:
        raise Refused(
            f"{aim.label}: {aim.entry} is not in {store.name}; nothing was executed",
            f"`dbdeck secret set {aim.entry}`",
        )
    if pending is not None:
        raise Refused(
            f"{aim.label}: a rotation of it has not ended: {aim.entry}{PENDING} is kept; "
            "nothing was executed",
            "`dbdeck audit list` has its id; `dbdeck apply --resume ID` ends it and runs the hooks, too",
        )
    if current.user not in ("", aim.user):
        raise Refused(
            f"{aim.label}: {aim.entry} is for {current.user} now, its other half; nothing was executed",
            f"account={current.user}, with hooks of its own; or the next credential.rotate runs them",
        )
    seen = await engine.probe(aim.user, current.password)
    foreign = rotating.misled(aim, seen, aim.user)
    if seen.answer is not Answer.ACCEPTED or foreign:
        raise Refused(
            f"{aim.label}: the server does not take the password of {aim.entry}: {foreign or seen.why}; "
            "nothing was executed",
            f"`dbdeck secret set {aim.entry}` with the right one",
        )
