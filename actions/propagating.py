"""Hands an account's current secret on, a hook after the other; what each did is told by its own check."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from actions import credential_fingerprints as fingerprints
from actions import credential_statements as statements
from actions import rotating
from actions.credential_aims import Aim
from actions.hook_carrier import Carrier, Handed, Outcome, Seen, State
from actions.hook_exec import ExecCarrier
from actions.hook_files import of_my_cnf, of_pgpass
from actions.hook_pooler import PoolerCarrier
from actions.words import counted
from console.audit.rotations import HANDED
from console.audit.rotations import handed as noted
from console.dispatch.operator import Operator
from console.dispatch.reconcile import NOTES
from console.engine.port import Engine
from console.errors import DbdeckError, UsageError
from console.model.hooks import Hook, Named, named
from console.model.target import Target
from console.model.verifiers import POSTGRESQL, Verifier, parse
from console.secret_store import SecretStore

_RAN = "run by this rotation already, and not again"
_UNSURE = (
    "whether this rotation ran it already is unknown, because the ledger may not be read: it is run again"
)
EVIDENCE = "hooks"  # below it: label of the account -> outcomes
_UNREAD = (
    "the verifier that the server keeps may be read by neither the monitor nor the operator, and PgBouncer "
    "needs just that one"
)
_GRANT = "GRANT SELECT (rolname, rolpassword, rolcanlogin) ON pg_catalog.pg_authid TO the target's monitor"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan says of hooks: what they do, what is there, and what will not go well."""

    effects: tuple[str, ...] = ()
    forecast: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def carrier_of(hook: Hook, user: str, target: Target) -> Carrier:
    if hook.pgpass is not None:
        return of_pgpass(hook.pgpass, user, target)
    if hook.my_cnf is not None:
        return of_my_cnf(hook.my_cnf, user)
    if hook.pgbouncer is not None:
        return PoolerCarrier(hook.pgbouncer, user)
    assert hook.exec is not None  # noqa: S101 - the config has exactly one kind
    return ExecCarrier(hook.exec)


async def told(aims: Sequence[Aim], target: Target) -> Told:
    """Raises UsageError for a program that is not there: the rotation would end half done."""
    effects: list[str] = []
    forecast: list[str] = []
    warnings: list[str] = []
    for aim in aims:
        for label, hook in chosen(aim):
            carrier = carrier_of(hook, aim.user, target)
            if _mark(label, carrier) in aim.handed:
                forecast.append(f"{aim.label}: hook {label}: {_RAN}")
                continue
            seen = await carrier.look()
            if carrier.once and aim.unsure:
                warnings.append(f"{aim.label}: hook {label}: {_UNSURE}")
            if seen.missing:
                raise UsageError(
                    f"{aim.label}: the hook {label} would fail: {seen.missing}; nothing was executed",
                    seen.remedy or "mend `rotation` of the config; propagate=false rotates without the hooks",
                )
            effects += carrier.effects
            forecast.append(f"{aim.label}: hook {label}: {seen.line}")
            if seen.warning:
                warnings.append(f"{aim.label}: hook {label}: {seen.warning}")
    return Told(effects=tuple(effects), forecast=tuple(forecast), warnings=tuple(warnings))


def chosen(aim: Aim) -> tuple[Named, ...]:
    """The hooks of the plan, by the names they have in the config."""
    return tuple(one for one in named(aim.hooks) if not aim.only or one.label in aim.only)


Past: TypeAlias = Sequence[Mapping[str, Any]]


def undone(rotations: Past | None, since: Past | None, label: str, hooks: Sequence[str]) -> tuple[str, ...]:
    """The hooks that nobody knows to be done since the newest rotation of an account: whoever they supply may
    have the old password. Of the evidence of outcomes and of what settled open ones (None: nobody can tell),
    and the names of its hooks in the config; pure.
    """
    if rotations is None or since is None:
        return tuple(hooks)
    newest = next((one for one in _newest(rotations) if _rotated(one, label)), None)
    if newest is None:
        return ()
    # Whoever settled an open one did not see which were run, and propagate=false runs none.
    states = _hooks(newest).get(label) or dict.fromkeys(hooks, "")
    left = {name for name, state in states.items() if state != State.DONE}
    for one in _newest(since):
        if str(one["ended_at"]) > str(newest["ended_at"]):
            left -= {name for name, state in _hooks(one).get(label, {}).items() if state == State.DONE}
    return tuple(name for name in states if name in left)


def _rotated(one: Mapping[str, Any], label: str) -> bool:
    """Its rotation was done, by the run or as seen by who settled it: each of its rows has a mark then."""
    marks = one.get(fingerprints.EVIDENCE) or ()
    return any(part in marks for part in label.split(" and "))


def _newest(past: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(past, key=lambda one: str(one["ended_at"]), reverse=True)


def _hooks(one: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Account -> hook -> its state, as an outcome tells it."""
    found = one.get(EVIDENCE)
    return {
        str(label): {str(row.get("hook")): str(row.get("state")) for row in rows if isinstance(row, Mapping)}
        for label, rows in (found.items() if isinstance(found, Mapping) else ())
    }


# ---- doing it --------------------------------------------------------------------------------------


async def propagate(aim: Aim, operator: Operator, verifier: Verifier | None = None) -> tuple[Outcome, ...]:
    """In order; one that fails keeps no other from being run. Raises nothing for a hook.

    `verifier` is what was just sent to the server. How each ended is in the operator's evidence, too.
    """
    hooks = chosen(aim)
    if not hooks:
        return ()
    kept: list[dict[str, Any]] = []
    operator.evidence.setdefault(EVIDENCE, {})[aim.label] = kept
    handed = await _handed(aim, hooks, operator, verifier)
    found = []
    for label, hook in hooks:
        carrier = carrier_of(hook, aim.user, operator.engine.target)
        outcome = await _once(aim, label, carrier, operator, handed)
        operator.watch.tell(f"{aim.label}: hook {outcome.text}")
        kept.append(msgspec.to_builtins(outcome))
        found.append(outcome)
    return tuple(found)


async def _once(
    aim: Aim, label: str, carrier: Carrier, operator: Operator, handed: Handed | str | None
) -> Outcome:
    """What no look can tell is noted when it is done, and not done twice by one rotation."""
    mark = _mark(label, carrier)
    if mark in aim.handed:
        return Outcome(hook=label, state=State.DONE, why=_RAN, again=True)
    outcome = await _one(label, carrier, operator, handed)
    if mark and aim.rotation and outcome.state is State.DONE:
        seen = {"account": aim.label, "rotation": aim.rotation, HANDED: mark}
        await operator.note(f"{aim.label}: hook {outcome.text}", seen)
    return outcome


def _mark(label: str, carrier: Carrier) -> str:
    """The hook by its name and what it runs: a program that was changed in the config is another one."""
    return f"{label}: {carrier.once}" if carrier.once else ""


async def _one(label: str, carrier: Carrier, operator: Operator, handed: Handed | str | None) -> Outcome:
    """Nothing of a hook takes back that the password was changed, whatever breaks in it."""
    if not isinstance(handed, Handed):
        return Outcome(hook=label, state=State.OPEN, why=handed or "there is no secret to hand on")
    if operator.watch.stop.is_set():
        return Outcome(hook=label, state=State.OPEN, why="not begun: the run was stopped")
    try:
        seen, again = await carrier.seen(handed), True
        if seen.state is not State.DONE:
            seen, again = await carrier.carry(operator, handed), False
    except DbdeckError as error:
        return Outcome(hook=label, state=State.OPEN, why=error.message, hint=error.hint)
    except Exception as error:  # noqa: BLE001 - as above
        return Outcome(hook=label, state=State.OPEN, why=f"it broke inside: {type(error).__name__}")
    state = State.DONE if seen.state is State.DONE else State.OPEN
    return Outcome(hook=label, state=state, why=seen.why, again=again)


async def _handed(
    aim: Aim, hooks: Sequence[Named], operator: Operator, sent: Verifier | None
) -> Handed | str:
    """Or why there is nothing to hand on."""
    try:
        current, _, previous = await rotating.entries(operator.secrets, aim.entry)
        if current is None:
            return f"{aim.entry} is not in {operator.secrets.name}"
        wanted = any(hook.pgbouncer is not None for _, hook in hooks)
        verifier = await _verifier(aim, operator, sent) if wanted else None
    except DbdeckError as error:
        return error.message
    old = None if previous is None else previous.password
    return Handed(current.password, old, verifier, f"{_UNREAD}: {_GRANT}, or rotate once more")


async def _verifier(aim: Aim, operator: Operator, sent: Verifier | None) -> Verifier | None:
    """As the server keeps it: by the monitor, as it was sent, or by the operator."""
    seen = await kept_by_server(aim, operator.engine)
    if seen is not None or sent is not None:
        return seen or sent
    try:
        rows = await operator.execute(statements.read_verifier(aim.user))
    except DbdeckError:
        return None
    return parse(str(rows[0][0]), POSTGRESQL, user=aim.user) if rows and rows[0][0] else None


async def kept_by_server(aim: Aim, engine: Engine) -> Verifier | None:
    try:
        found = await engine.verifiers()
    except DbdeckError:
        return None
    return next((one.verifier for one in found if one.name == aim.user), None)


# ---- what came of it -------------------------------------------------------------------------------


async def outcomes(
    aim: Aim, engine: Engine, store: SecretStore, evidence: Mapping[str, Any]
) -> tuple[Outcome, ...]:
    """Of each hook: what the run itself saw, or what its check says now, where no run told."""
    kept = evidence.get(EVIDENCE, {}).get(aim.label)
    if kept is not None:
        return tuple(msgspec.convert(kept, list[Outcome]))
    hooks = chosen(aim)
    current, _, _ = await rotating.entries(store, aim.entry) if hooks else (None, None, None)
    if current is None:
        return tuple(Outcome(hook=one.label, state=State.OPEN, why="there is no secret") for one in hooks)
    pooled = any(hook.pgbouncer is not None for _, hook in hooks)
    verifier = await kept_by_server(aim, engine) if pooled else None
    handed = Handed(current.password, None, verifier, _UNREAD)
    found = []
    done = {*aim.handed, *noted(evidence.get(NOTES, ()), aim.rotation)}
    for label, hook in hooks:
        carrier = carrier_of(hook, aim.user, engine.target)
        ran = _mark(label, carrier) in done
        seen = Seen(State.DONE, _RAN) if ran else await _checked(carrier, handed)
        found.append(Outcome(hook=label, state=seen.state, why=seen.why))
    return tuple(found)


def unseen(label: str, one: Outcome, evidence: Mapping[str, Any]) -> bool:
    """Whether nobody knows of a hook: no run came to its end to tell, and no look does."""
    return one.state is State.UNKNOWN and label not in evidence.get(EVIDENCE, {})


async def _checked(carrier: Carrier, handed: Handed) -> Seen:
    try:
        return await carrier.seen(handed)
    except DbdeckError as error:
        return Seen(State.UNKNOWN, error.message)


def failed(found: Sequence[Outcome]) -> tuple[Outcome, ...]:
    return tuple(one for one in found if one.state is not State.DONE)


def complaint(found: Sequence[Outcome]) -> str:
    """`1 of 3 hooks was not done: pgpass: …`."""
    missed = failed(found)
    why = "; ".join(f"{one.hook}: {one.why or one.state}" for one in missed)
    verb = "was" if len(missed) == 1 else "were"
    return f"{len(missed)} of {counted(len(found), 'hook')} {verb} not done: {why}"


def complaints(handed: Mapping[str, tuple[Outcome, ...]], target: Target) -> tuple[str, str] | None:
    """(what was not done, what to do) of rotations whose hooks failed; None where all were done."""
    missed = {user: some for user, found in handed.items() if (some := failed(found))}
    if not missed:
        return None
    said = [f"{user} has its new password, and {complaint(handed[user])}" for user in missed]
    return "; ".join(said), again(target, missed)


def again(target: Target, missed: Mapping[str, Sequence[Outcome]]) -> str:
    """The commands that run those that failed, and what mends them."""
    hints = dict.fromkeys(one.hint for found in missed.values() for one in found if one.hint)
    runs = [
        f"dbdeck apply credential.propagate -t {shlex.quote(target.name)} "
        + " ".join([f"account={shlex.quote(user)}", *(f"hook={shlex.quote(one.hook)}" for one in found)])
        for user, found in missed.items()
    ]
    commands = " and ".join(f"`{run}`" for run in runs)
    return "; ".join([*hints, f"then {commands}"]) if hints else f"when that is mended: {commands}"
