"""`doctor`: can each target be reached, seen and acted on, what do we cost it, and can we record?"""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from console.cli import output
from console.cli.context import Services, choose, ledger
from console.cli.doctor_mend import mend, operators_rights, tools
from console.config import Config
from console.engine.drain_board import drain_board
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import (
    DbdeckError,
    Exit,
    PrivilegeMissing,
    SecretsUnavailable,
    VaultLocked,
    WrongMaster,
)
from console.keyrings import Pinned, current
from console.model.accounts import Due, overdue
from console.model.overview import REPLICA_UNKNOWN
from console.model.replication import replica_word
from console.model.target import Check, ServerIdentity, Target
from console.present import drain as words
from console.present.table import Tone
from console.secret_store import SECONDS, of_this_process, within
from console.wire.tls import is_local

if TYPE_CHECKING:
    from console.vault.store import Vault

_MARKS = {True: ("ok", Tone.GOOD), False: ("PROBLEM", Tone.BAD), None: ("unknown", Tone.WARN)}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`exit` is what the worst finding makes of the whole command."""

    name: str
    checks: tuple[Check, ...]
    exit: Exit = Exit.OK


async def doctor(services: Services, names: tuple[str, ...], select: str, as_json: bool) -> int:
    found = await reports(services, names, select)
    if as_json:
        output.document({"schema": "dbdeck/doctor/1", "rows": documents(found)})
    else:
        show(found)
    return worst(found)


async def reports(services: Services, names: tuple[str, ...], select: str) -> list[Report]:
    config = services.config()
    found = [await _audit(config), await _keyring(), _machine(config)]
    return found + [await _target(target, config) for target in choose(config, names, select)]


def worst(found: Sequence[Report]) -> int:
    return max(report.exit for report in found)


def documents(found: Sequence[Report]) -> list[dict[str, Any]]:
    return [{"name": one.name, "ok": one.exit == Exit.OK, "checks": one.checks} for one in found]


def show(found: Sequence[Report]) -> None:
    for report in found:
        output.line(report.name, Tone.NOTICE)
        for check in report.checks:
            mark, tone = _MARKS[check.ok]
            output.line(f"  {mark:8} {check.name}: {check.detail}", tone)
            if check.hint:
                output.line(f"           do: {check.hint}")


async def _target(target: Target, config: Config) -> Report:
    from console.cli import doctor_drills

    name = f"{target.name} ({target.engine}, {target.environment}, {target.address})"
    drilled = await doctor_drills.checks(target, config)
    try:
        async with open_engine(target) as engine:
            identity = await engine.identity()
            checks = [
                Check(name="reach", ok=True, detail=f"{identity.label} as {identity.user}"),
                await _role(target, identity, engine),
                _tls(target, identity.tls),
                *await engine.checks(),
                await _deadlocks(engine),
                *await _passwords(engine, config),
                *await _rotations(engine),
            ]
            operator = tuple(_where(check, identity) for check in await _operator(target, engine))
            checks = [_where(check, identity) for check in checks]
    except DbdeckError as error:
        failed = Check(name="reach", ok=False, detail=error.message, hint=mend(error, target, target.monitor))
        return Report(name=name, checks=(failed, *drilled), exit=error.exit)
    blind = any(check.vital and check.ok is False for check in checks)
    bad = blind or operator[0].ok is False
    return Report(name=name, checks=(*checks, *operator, *drilled), exit=Exit.UNREACHABLE if bad else Exit.OK)


_STOPPED = ("the receiver is stopped", "the applier is stopped")


_ROLE = "role of the server"


async def _role(target: Target, seen: ServerIdentity, engine: Engine) -> Check:
    try:
        return _role_of(target, seen, await _follows(seen, engine))
    except DbdeckError as error:
        takes = "it takes writes" if seen.primary else "it is read-only"
        return Check(name=_ROLE, ok=None, detail=f"{takes}; {error.message}", hint=error.hint)


def _role_of(target: Target, seen: ServerIdentity, follows: str | None) -> Check:
    """What it is beside what the config says it is: after a failover the two differ."""
    name, source = _ROLE, target.labels.get("replica_of")
    of = f" of {source}" if source else ""
    if follows is not None and seen.primary:
        return _writable_replica(target, seen, follows)
    if seen.primary and source:
        told = f"primary, and the config calls it a replica of {source}"
        hint = (
            f"after a failover: take `replica_of` from the labels of {target.name}, and give it to the other"
        )
        return Check(name=name, ok=False, detail=told, hint=hint)
    if seen.primary:
        return Check(name=name, ok=True, detail="primary")
    if follows:
        hint = f"`dbdeck runbook run replication-lag -t {target.name}` finds out why"
        return Check(name=name, ok=False, detail=f"a replica{of}{_and(follows)}", hint=hint)
    if source:
        told = f"standby or read-only, a replica of {source}: what would write is refused here"
        return Check(name=name, ok=True, detail=told)
    hint = "where it is meant to be one: `replica_of: NAME` among its labels, the target that is its primary"
    return Check(name=name, ok=False, detail="standby or read-only: actions may be refused", hint=hint)


def _writable_replica(target: Target, seen: ServerIdentity, follows: str) -> Check:
    """It has a source and takes writes: by mistake, or because it was promoted and kept its settings."""
    name, source = _ROLE, target.labels.get("replica_of")
    mysql = seen.flavor == "mysql"
    if all(half in follows for half in _STOPPED):
        label = f" and take `replica_of` from the labels of {target.name}" if source else ""
        hint = f"where it was promoted: RESET {replica_word(seen)} ALL;{label}"
        told = f"it takes writes, and has a source that it does not follow{_and(follows)}"
        return Check(name=name, ok=False, detail=told, hint=hint)
    of = f" of {source}" if source else ""
    told = f"a replica{of} that takes writes: what is written here is nowhere else, and may stop its applier"
    hint = f"SET GLOBAL {'super_read_only' if mysql else 'read_only'} = ON; and the same in its configuration"
    return Check(name=name, ok=False, detail=f"{told}{_and(follows)}", hint=hint)


async def _follows(seen: ServerIdentity, engine: Engine) -> str | None:
    """Of a server that can replicate and take writes: why it does not replicate, "" where it does; None where
    it is no replica. Raises PrivilegeMissing where this login may not know, and what a read raises.
    """
    if seen.flavor == "postgresql":
        return None
    pulse = await engine.pulse()
    untold = next((one for one in pulse.unknown if one.startswith(REPLICA_UNKNOWN)), None)
    if untold is not None:
        raise PrivilegeMissing(REPLICA_UNKNOWN, untold.removeprefix(f"{REPLICA_UNKNOWN}: "))
    return pulse.halted if pulse.halted or pulse.lag_seconds is not None else None


def _and(halted: str) -> str:
    return f"; {halted}" if halted else ""


def _where(check: Check, seen: ServerIdentity) -> Check:
    """A standby of PostgreSQL takes no GRANT: its accounts are those of its primary."""
    if seen.primary or seen.flavor != "postgresql" or not check.hint.startswith(("GRANT ", "CREATE ")):
        return check
    return msgspec.structs.replace(check, hint=f"on its primary: {check.hint}")


def _tls(target: Target, seen: str) -> Check:
    """Without it nothing is wrong where nothing leaves this machine, which is what `init` makes of one."""
    if seen == "off" and is_local(target.host):
        return Check(name="tls", ok=True, detail="off: nothing leaves this machine")
    bad = seen == "off"
    hint = "write `tls: verify-full` for it" if bad else ""
    return Check(name="tls", ok=not bad, detail=seen, hint=hint)


async def _deadlocks(engine: Engine) -> Check:
    """Whether what deadlocked can be told, or only that something did."""
    history = await engine.deadlocks()
    if history.notes:
        return Check(name="deadlocks", ok=None, detail=history.notes[0])
    return Check(name="deadlocks", ok=True, detail="can be described")


async def _passwords(engine: Engine, config: Config) -> tuple[Check, ...]:
    """How many are older than the config wants them, where it wants anything; as the Accounts view counts."""
    from console.cli.subjects import sentinel

    if engine.target.rotation.every is None:
        return ()
    name = "passwords"
    try:
        seen = await engine.accounts()
        found = (await sentinel(engine, config).judge(seen, engine.target.rotation)).accounts
    except DbdeckError as error:
        return (Check(name=name, ok=None, detail=f"their age: {error.message}", hint=error.hint),)
    late, unknown = overdue(found), sum(1 for one in found if one.due is Due.UNKNOWN)
    told = f"{late} overdue, {unknown} of unknown age, of {len(found)} accounts"
    hint = "`dbdeck show accounts` names them" if late or unknown else ""
    return (Check(name=name, ok=False if late else None if unknown else True, detail=told, hint=hint),)


async def _rotations(engine: Engine) -> tuple[Check, ...]:
    """What rotations left in the keyring, and on the server; nobody is asked for a master."""
    store, name = of_this_process(), "rotations"
    if store is None:
        return ()
    try:
        board = await drain_board(engine, store)
    except DbdeckError as error:
        told = Check(name=name, ok=None, detail=f"what is left of them: {error.message}", hint=error.hint)
        return (told,) if engine.target.rotation.every is not None else ()
    said = words.summary(board)
    if board.problem is not None:
        said = f"{said}; what the keyring keeps: {board.problem.message}"
    broken = any(one.pending is not None and not one.gone for one in board.accounts)
    whole = board.problem is None and not board.unknown
    hint = "`dbdeck show drain` tells what is left to do" if board.accounts else ""
    return (Check(name=name, ok=False if broken else True if whole else None, detail=said, hint=hint),)


async def _operator(target: Target, engine: Engine) -> tuple[Check, ...]:
    """Whether it logs in, and what it lacks; nothing is tried."""
    from console.dispatch.lifeboat import Lifeboat

    if target.operator is None:
        told = "none configured: the target is read-only"
        hint = f"`operator:` of targets.{target.name}; docs/privileges.md has its GRANTs"
        return (Check(name="operator", ok=None, detail=told, hint=hint),)
    boat = Lifeboat(target)
    try:
        async with boat.board() as connection:
            there = Check(name="operator", ok=True, detail=f"logs in as {connection.user}")
            return there, await operators_rights(engine, connection)
    except DbdeckError as error:
        hint = mend(error, target, target.operator)
        return (Check(name="operator", ok=False, detail=error.message, hint=hint),)
    finally:
        await boat.sink()


async def _audit(config: Config) -> Report:
    try:
        async with ledger(config, write=True) as opened:
            check = Check(name="ledger", ok=True, detail=f"{opened.sink}: a row was written")
    except DbdeckError as error:
        away = "is the server of audit.url running, and reachable from this machine?"
        failed = Check(name="ledger", ok=False, detail=error.message, hint=error.hint or away)
        return Report(name="audit", checks=(failed,), exit=error.exit)
    journal = Check(name="journal", ok=True, detail=f"{config.journal}: a line was written and synced")
    return Report(name="audit", checks=(check, journal))


async def _keyring() -> Report:
    """Nobody is asked for a master: a vault is opened with one that was given, or not at all."""
    pinned = current()
    if pinned is None:
        return Report(name="keyring", checks=())
    chosen = _backend(pinned)
    try:
        found = await _vault(pinned.vault) if pinned.vault is not None else await _loaded(pinned)
    except DbdeckError as error:
        failed = Check(name="usable", ok=False, detail=error.message, hint=error.hint)
        return Report(name="keyring", checks=(chosen, failed), exit=error.exit)
    bad = any(check.ok is False for check in found)
    return Report(name="keyring", checks=(chosen, *found), exit=Exit.USAGE if bad else Exit.OK)


def _backend(pinned: Pinned) -> Check:
    """One that a variable chose is another one in the next shell, or in a timer."""
    told = f"{pinned.name}, chosen by {pinned.by}"
    if not pinned.by.startswith("$"):
        return Check(name="backend", ok=True, detail=told)
    hint = f"write `keyring: {{backend: {pinned.name}}}` into the config: that pins it wherever dbdeck runs"
    return Check(name="backend", ok=None, detail=told, hint=hint)


async def _loaded(pinned: Pinned) -> tuple[Check, ...]:
    """Looking into it could open a dialog on somebody's screen."""
    try:
        await within(SECONDS, pinned.open)
    except TimeoutError:
        raise SecretsUnavailable(
            f"the keyring {pinned.name} could not be loaded within {SECONDS:g} s; nothing was read from it"
        ) from None
    return (Check(name="usable", ok=None, detail="can be loaded; it was not asked for anything"),)


async def _vault(vault: Vault) -> tuple[Check, ...]:
    from console.audit.mounts import refuse_memory

    state = await asyncio.to_thread(vault.state)
    if state.generation is None or state.mode is None:
        hint = "`dbdeck secret set SERVICE/NAME` makes it"
        return (Check(name="vault", ok=None, detail=f"{vault.path} is not made yet", hint=hint),)
    kept = ", ".join(str(one.number) for one in state.kept if one.at) or "none"
    folder = stat.S_IMODE(vault.path.parent.stat().st_mode)
    told = f"{vault.path}: generation {state.generation} is whole; earlier ones that are good: {kept}"
    try:
        refuse_memory(vault.path.parent)
        lasts = Check(name="disk", ok=True, detail="outlives a reboot, as far as the system tells")
    except OSError as error:
        lasts = Check(
            name="disk", ok=False, detail=str(error.strerror), hint="put `keyring.vault` on a real disk"
        )
    return (
        Check(name="vault", ok=True, detail=told),
        Check(name="modes", ok=True, detail=f"folder {folder:04o}, file {state.mode:04o}"),
        lasts,
        await _unlocked(vault),
    )


async def _unlocked(vault: Vault) -> Check:
    try:
        await asyncio.to_thread(vault.check)
    except WrongMaster as error:
        return Check(name="unlocked", ok=False, detail=error.message, hint=error.hint)
    except VaultLocked as error:
        return Check(name="unlocked", ok=None, detail="locked; no master was given", hint=error.hint)
    return Check(name="unlocked", ok=True, detail="with the master that was given")


def _machine(config: Config) -> Report:
    return Report(
        name="this machine",
        checks=(
            tools(config),
            Check(
                name="bytecode",
                ok=not os.environ.get("PYTHONDONTWRITEBYTECODE"),
                detail="compiled code is kept"
                if not os.environ.get("PYTHONDONTWRITEBYTECODE")
                else "is not kept",
                hint="unset PYTHONDONTWRITEBYTECODE: it makes every start 3 times slower"
                if os.environ.get("PYTHONDONTWRITEBYTECODE")
                else "",
            ),
            Check(name="temporary folder", ok=True, detail=tempfile.gettempdir()),
            *_rules(config),
        ),
    )


def _rules(config: Config) -> tuple[Check, ...]:
    """Whether who acts could change what is allowed; of root that is always true."""
    if not config.policy_file:
        if not config.policy.rules:
            return ()
        told = "they stand in the config, which whoever acts may have written"
        return (
            Check(name="rules", ok=None, detail=told, hint="keep them in a `policy_file` of another owner"),
        )
    path = Path(config.policy_file).expanduser()
    mine = os.access(path, os.W_OK) or os.access(path.parent, os.W_OK)
    told = f"{path} ({config.policy.hash[:12]}) can{'' if mine else 'not'} be changed by who runs this"
    hint = f"give it to another user: chown root {shlex.quote(str(path))}" if mine else ""
    return (Check(name="rules", ok=None if mine else True, detail=told, hint=hint),)
