"""The part of `init` that talks to the server: who answers, what is said of it, and its logins made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from console.cli import output
from console.cli.context import Services, dispatcher
from console.cli.init_answers import Answers
from console.cli.meter import tell_progress
from console.config import Config
from console.dispatch.action import Approval, Plan, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import ActionFailed, DbdeckError, Exit, Refused
from console.model.access import DEFAULT_NAMES, Purpose
from console.model.target import Check, Login, ServerIdentity, Target
from console.present import plan as words
from console.present.access import statements
from console.present.table import Tone
from console.present.units import clean
from console.secrets import Secret, lent

ACTION = "account.create"


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered, and what the login that asked may see."""

    server: ServerIdentity
    checks: tuple[Check, ...]


async def meet(target: Target, held: Mapping[str, Secret]) -> Met:
    """Raises the Unreachable errors of a connection."""
    with lent(held):
        async with open_engine(target) as engine:
            server = await engine.identity()
            return Met(server=server, checks=await engine.checks())


def tell(met: Met, target: Target, *, admin: bool) -> None:
    """What was found out, for a person: on stderr, as everything before the end. An administrator may do
    what a monitor should not, and nothing of that is to be mended.
    """
    server = met.server
    role = "primary" if server.primary else "standby or read-only"
    output.note(f"{target.address} is {server.label}, {role}; TLS {server.tls}; logged in as {server.user}")
    for check in () if admin else met.checks:
        if check.ok is not True:
            output.note(f"  {check.name}: {check.detail}{f'; mend: {check.hint}' if check.hint else ''}")


def wanted(server: ServerIdentity, names: Mapping[Purpose, str], host: str | None) -> list[str]:
    """The statements for each login, as a person would send them."""
    return [
        line
        for purpose, name in names.items()
        for line in statements(purpose, server.flavor, server.version_num, name, host)
    ]


def names(monitor: str, operator: str, *, read_only: bool) -> dict[Purpose, str]:
    found = {Purpose.MONITOR: monitor or DEFAULT_NAMES[Purpose.MONITOR]}
    if not read_only:
        found[Purpose.OPERATOR] = operator or DEFAULT_NAMES[Purpose.OPERATOR]
    return found


def as_admin(target: Target, login: Login, host: str) -> Target:
    """The same target by the administrator's way."""
    return msgspec.structs.replace(target, monitor=login, operator=login, host=host or target.host)


async def create(
    services: Services, config: Config, admin: Target, who: Mapping[Purpose, str], host: str, answers: Answers
) -> dict[str, Run]:
    """Each login by an action of its own, after the plans of all were told. Raises what ended it; the runs
    before that stand in the ledger.
    """
    runs: dict[str, Run] = {}
    async with dispatcher(config, services.registry()) as runner:
        await _settle(runner.ledger, services, admin, runner.store)
        async with open_engine(admin) as engine:
            plans: dict[Purpose, Plan] = {}
            for purpose, name in who.items():
                given = {"account": name, "purpose": str(purpose), **({"host": host} if host else {})}
                plans[purpose] = await runner.plan(ACTION, engine, given)
            for plan in plans.values():
                for tone, line in words.describe(plan):
                    _say(tone, line)
            for purpose, plan in plans.items():
                _tell_made(runs)
                if plan.statements and not await answers.go_on(f"make the {purpose}'s login {who[purpose]}"):
                    raise Refused(f"the login of the {purpose} was not approved; it was not made")
                runs[who[purpose]] = await _apply(runner, plan, engine, answers, who[purpose])
    return runs


async def _apply(runner: Dispatcher, plan: Plan, engine: Engine, answers: Answers, name: str) -> Run:
    """Raises what ended it: no config is written then."""
    approval = Approval(reason=answers.options.reason or "the first logins, by dbdeck init")
    watch = Watch(seconds=0, tell=tell_progress)
    run = await runner.apply(plan, engine, approval, watch=watch)
    for tone, line in words.conclude(run):
        _say(tone, line)
    if run.exit is not Exit.OK:
        raise _ended(run)
    if watch.stop.is_set():
        raise Refused(f"stopped by {watch.stop.by}: {name} was made and stays; no config was written")
    return run


def _tell_made(runs: Mapping[str, Run]) -> None:
    """Before what may end it: what is there by then stays."""
    for name in runs:
        output.note(f"{name} is made; where this ends before its end, the same command goes on from here")


def _say(_: Tone, line: str) -> None:
    output.note(line)


def _ended(run: Run) -> DbdeckError:
    told = run.error
    error = ActionFailed(
        f"{told.message if told else run.action}; no config was written", told.hint if told else ""
    )
    error.code = run.exit  # type: ignore[attr-defined]
    return error


async def _settle(ledger: Any, services: Services, admin: Target, store: Any) -> None:
    """What an `init` that died left open on this target; it would stand in the way of this one."""
    from console.dispatch.reconcile import reconcile

    mine = [
        one
        for one in await ledger.open_intents()
        if one.body.get("target") == admin.name and one.body.get("action") == ACTION and not one.unmerged
    ]
    for one in mine:
        settled = await reconcile(ledger, services.registry(), [admin], store=store, only=str(one.action_id))
        for end in settled:
            output.note(f"an earlier one was cut off and is settled: {end.state}: {clean(end.summary)}")


def documents(runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    return [
        {"account": name, "effect": run.effect, "exit": run.exit,
         "action_id": str(run.action_id), "intent": run.intent, "outcome": run.outcome}
        for name, run in runs.items()
    ]  # fmt: skip
