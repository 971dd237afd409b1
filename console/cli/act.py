"""`actions`, `plan` and `apply`: the catalogue, what would be done, and doing it."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from console.cli import glass, output
from console.cli.context import Services, dispatcher, ledger, one
from console.cli.meter import Meter, tell_progress
from console.cli.policy import said_of
from console.cli.run import interrupted
from console.cli.unlock import unlock_for
from console.config import Config
from console.dispatch.action import Action, Approval, Keeping, Offline, Plan, Watch
from console.dispatch.approving import ApprovalMissing
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Failure, Run
from console.dispatch.memory import Memory
from console.dispatch.planning import draw_up
from console.dispatch.policy import must_type_name, wants_ticket
from console.dispatch.registry import Registry, pairs, parse_args
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import (
    AuditForbidden,
    AuditMissing,
    AuditUnavailable,
    DbdeckError,
    Exit,
    Refused,
    Stale,
    TimedOut,
    UsageError,
)
from console.model.target import Target
from console.named_file import read_named
from console.new_file import write_over
from console.present import actions as about
from console.present import plan as words
from console.present.table import Column, Line
from console.present.units import clean
from console.secret_store import of_this_process

PLAN_MINUTES = 30
CLOCKS = timedelta(minutes=5)  # by which those of two machines may differ
LONGEST_KEY = 200
APPROVAL_SECONDS = 2.0
STDOUT = "-"
STDIN = Path("-")  # whatever it is: a pipe, a file, the socket of an SSH server
PLAN = "dbdeck/plan/1"
MOST = 64 << 20  # bytes of a plan or of arguments: a file with a hole has no end
_NO_INTENT = range(Exit.USAGE, Exit.LOCKED + 1)
_NO_PLAN = (msgspec.DecodeError, msgspec.ValidationError, TypeError, RecursionError)


class PlanOptions(msgspec.Struct, frozen=True, kw_only=True):
    target: str | None
    args_from: str | None
    out: str | None
    exit_code: bool
    as_json: bool


class ApplyOptions(msgspec.Struct, frozen=True, kw_only=True):
    target: str | None
    args_from: str | None
    reason: str
    ticket: str
    yes: bool
    confirm: str
    timeout: float | None
    watch: float | None
    idempotency_key: str | None
    as_json: bool
    resume: str | None = None
    approve_wait: float | None = None
    break_glass: bool = False


_COLUMNS = (
    Column(title="action", width=24),
    Column(title="risk", width=8),
    Column(title="engines", width=28),
    Column(title="what it does", width=30, grow=True),
)


def catalogue(services: Services, name: str | None, as_json: bool) -> int:
    registry = services.registry()
    if name is not None:
        return _one(registry.get(name), as_json)
    found = list(registry)
    if as_json:
        output.document({"schema": "dbdeck/actions/1", "rows": [_describe(action) for action in found]})
        return Exit.OK
    lines = [
        Line(key=one.name, cells=(one.name, one.risk, ", ".join(one.flavors), one.summary)) for one in found
    ]
    output.table(_COLUMNS, lines)
    return Exit.OK


def _one(action: Action[Any], as_json: bool) -> int:
    if as_json:
        output.document({"schema": "dbdeck/action/1", **_describe(action)})
    else:
        for tone, line in about.describe(action):
            output.line(line, tone)
    return Exit.OK


def _describe(action: Action[Any]) -> dict[str, Any]:
    return {
        "name": action.name,
        "summary": action.summary,
        "risk": action.risk,
        "engines": list(action.flavors),
        "facts": msgspec.to_builtins(action.facts),
        "arguments": msgspec.json.schema(action.Args),
    }


def _given(arguments: tuple[str, ...], source: str | None) -> dict[str, object]:
    """key=value words, or a JSON object from stdin or a file."""
    if source is None:
        return pairs(arguments)
    if arguments:
        raise UsageError("either key=value or --args, not both; nothing was executed")
    try:
        text = sys.stdin.read() if source == "-" else read_named(Path(source).expanduser(), most=MOST)
        given: dict[str, object] = msgspec.json.decode(text, type=dict[str, object])
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--args {source}: {why}; nothing was executed") from None
    return given


# ---- plan ------------------------------------------------------------------------------------


async def plan_action(services: Services, name: str, arguments: tuple[str, ...], options: PlanOptions) -> int:
    action = services.registry().get(name)
    parsed = parse_args(action, _given(arguments, options.args_from))
    target = one(services.config(), options.target)
    await unlock_for([target], store=isinstance(action, Keeping))
    async with open_engine(target) as engine:
        made = await planned(services, action, engine, parsed)
    if options.out and options.out != STDOUT:
        _save(made, options.out)
        until = made.made_at + timedelta(minutes=PLAN_MINUTES)
        output.note(f"dbdeck: saved; `dbdeck apply {_as_file(options.out)}` until {until:%H:%M:%S} UTC")
    if options.as_json or options.out == STDOUT:
        output.document(_document(made))
    else:
        for tone, line in words.describe(made):
            output.line(line, tone)
    if told := said_of(services.config().policy, made, target, offline=isinstance(action, Offline)):
        output.note(f"dbdeck: {told}")
    return Exit.CHANGES if options.exit_code else Exit.OK


async def planned(services: Services, action: Action[Any], engine: Engine, args: msgspec.Struct) -> Plan:
    """With what the ledger knows of earlier runs; a plan needs none to be made."""
    config = services.config()
    try:
        async with ledger(config, write=False) as opened:
            runner = Dispatcher(services.registry(), opened, config.policy, store=of_this_process())
            return await runner.plan(action.name, engine, msgspec.to_builtins(args))
    except AuditUnavailable:
        return await draw_up(action, engine, args, Memory(of_this_process()))


def _document(plan: Plan) -> dict[str, Any]:
    return {"schema": PLAN, "hash": plan.hash, **msgspec.to_builtins(plan, str_keys=True)}


def _save(plan: Plan, name: str) -> None:
    """0600: a statement's text may hold what others should not read."""
    write_over(name, msgspec.json.format(msgspec.json.encode(_document(plan)), indent=2) + b"\n")


def _as_file(name: str) -> str:
    """What `apply` takes for a file."""
    return shlex.quote(name if _is_file(name) else f"./{name}")


def _is_file(name: str) -> bool:
    return name == str(STDIN) or "/" in name or name.endswith(".json")


def load_plan(path: Path) -> Plan:
    """Raises UsageError for a file that is no plan, was edited, is of another dbdeck's kind or of a time to
    come, Stale for an old one.

    Who edits a file can make its hash and its time anew: what it says is looked at by `Dispatcher.vouched`.
    """
    if path != STDIN and not path.exists():
        raise UsageError(f"there is no plan {path}; nothing was executed", "`dbdeck plan … --out` makes one")
    try:
        text = sys.stdin.buffer.read() if path == STDIN else read_named(path, most=MOST)
        document = msgspec.json.decode(text, type=dict[str, Any])
        schema = document.get("schema")
        plan = msgspec.convert(document, Plan) if schema == PLAN else None
        same = plan is not None and document.get("hash") == plan.hash
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; nothing was executed") from None
    except _NO_PLAN as error:
        raise UsageError(f"{path} is no saved plan: {error}; nothing was executed") from None
    if plan is None:
        raise UsageError(f"{path} is no {PLAN}, it says {schema!r}; nothing was executed", "plan anew")
    if not same:
        raise UsageError(f"the plan in {path} was changed after it was made; nothing was executed")
    age = datetime.now(UTC) - plan.made_at
    if age < -CLOCKS:
        raise UsageError(
            f"the plan in {path} is of {plan.made_at:%Y-%m-%d %H:%M:%S} UTC, which is yet to come; "
            "nothing was executed",
            "set the clock of this machine, or of the one that planned",
        )
    if age > timedelta(minutes=PLAN_MINUTES):
        raise Stale(
            f"the plan in {path} is older than {PLAN_MINUTES} minutes; nothing was executed", "plan anew"
        )
    return plan


# ---- apply -----------------------------------------------------------------------------------


async def apply_action(
    services: Services, name: str, arguments: tuple[str, ...], options: ApplyOptions
) -> int:
    """Runs the action; with --json every end, a refusal too, is one dbdeck/run/1 document.

    Once an effect has its outcome, neither a time-out nor a signal nor a closed stdout changes what is
    said of it.
    """
    shown = _Shown(name, options.target)
    try:
        async with asyncio.timeout(options.timeout):
            await _apply(services, name, arguments, options, shown)
    except TimeoutError:
        late = TimedOut("the time given ran out before any effect; nothing was executed")
        return _tell(shown.run, options) if shown.run else _fail(late, shown, options)
    except asyncio.CancelledError as cancelled:
        signalled = interrupted(cancelled)
        if shown.run is None:
            if signalled is None:
                raise
            return _fail(signalled, shown, options)
    except DbdeckError as error:
        if shown.run is None:
            return _fail(error, shown, options)
        output.complaint(error)
    if shown.run is None:
        raise RuntimeError("an action ended without a result")
    return _tell(shown.run, options)


def _tell(run: Run, options: ApplyOptions) -> int:
    """The exit code is the run's, whatever becomes of the words."""
    try:
        if options.as_json:
            output.document(_run_document(run))
        else:
            for tone, line in words.conclude(run):
                output.line(line, tone)
    except OSError as error:
        output.lost(error)
    if not run.recorded and not options.break_glass:
        output.note("dbdeck: the outcome row waits in the journal: the ledger has not taken it")
    if run.error and options.as_json:
        output.note(f"dbdeck: {clean(run.error.message)}")
    return run.exit


class _Shown(msgspec.Struct):
    """What is known of a run that may yet be refused."""

    action: str
    target: str | None
    statements: tuple[str, ...] = ()
    run: Run | None = None


async def _apply(
    services: Services, name: str, arguments: tuple[str, ...], options: ApplyOptions, shown: _Shown
) -> None:
    """Leaves its result in `shown.run` before the ledger and the connections are closed."""
    config, registry = services.config(), services.registry()
    if options.resume:
        glass.refuse_beside(options)
        await _resume(config, registry, options, shown)
        return
    saved = _saved(name, arguments, options)
    if saved is not None:
        shown.action = saved.action
    action = registry.get(shown.action)
    args = parse_args(action, saved.args if saved else _given(arguments, options.args_from))
    target = _acted_on(config, saved.target if saved else options.target, options, shown)
    if not isinstance(action, Offline):
        _read_only(target)
    if options.break_glass:
        glass.refuse(config, action.name, target, options)
    await unlock_for([target], store=isinstance(action, Keeping))
    async with _runner(config, registry, target, options) as runner, open_engine(target) as engine:
        key = options.idempotency_key
        if key is not None:
            shown.run = await runner.earlier(key, action.name, target, args)
        if shown.run is None:
            given = msgspec.to_builtins(args)
            plan = await (runner.vouched(saved, engine) if saved else runner.plan(action.name, engine, given))
            await _carry_out(runner, engine, plan, config, (options, shown))


def _saved(name: str, arguments: tuple[str, ...], options: ApplyOptions) -> Plan | None:
    """The plan in a file, where the name is that of one."""
    if not _is_file(name):
        return None
    if arguments or options.args_from:
        raise UsageError("a saved plan takes no arguments; nothing was executed")
    plan = load_plan(Path(name))
    if options.target and options.target != plan.target:
        raise UsageError(
            f"the plan in {name} is for {plan.target}, not for {options.target}; nothing was executed",
            f"leave `-t {options.target}` away, or plan for it",
        )
    return plan


def _runner(
    config: Config, registry: Registry, target: Target, options: ApplyOptions
) -> AbstractAsyncContextManager[Dispatcher]:
    if options.break_glass:
        return glass.without_table(config, registry, target, options.reason)
    return dispatcher(config, registry)


async def _resume(config: Config, registry: Registry, options: ApplyOptions, shown: _Shown) -> None:
    """The rest of an earlier run, as a run of its own."""
    try:
        earlier = UUID(str(options.resume))
    except ValueError:
        raise UsageError(
            f"{options.resume!r} is no id of an action; nothing was executed", "`dbdeck audit list` has them"
        ) from None
    target = _acted_on(config, options.target, options, shown)
    _read_only(target)
    await unlock_for([target], store=True)  # what is resumed is not known yet
    async with dispatcher(config, registry) as runner, open_engine(target) as engine:
        plan = await runner.resume(earlier, engine)
        shown.action = plan.action
        await _carry_out(runner, engine, plan, config, (options, shown))


def _acted_on(config: Config, name: str | None, options: ApplyOptions, shown: _Shown) -> Target:
    target = one(config, name)
    shown.target = target.name
    _check_key(options.idempotency_key)
    return target


async def _carry_out(
    runner: Dispatcher, engine: Engine, plan: Plan, config: Config, how: tuple[ApplyOptions, _Shown]
) -> None:
    options, shown = how
    shown.statements = plan.statements
    approval = _approve(plan, engine.target, options, wants_ticket(config.policy, engine.target))
    seconds = options.watch if options.watch is not None else config.thresholds.watch
    watch = Watch(seconds=seconds, tell=tell_progress, advance=Meter())
    key = options.idempotency_key

    async def run(by: Approval) -> Run:
        return await runner.apply(plan, engine, by, idempotency_key=key, watch=watch)

    shown.run = await _approved_by_others(run, approval, options.approve_wait or 0.0)


async def _approved_by_others(
    run: Callable[[Approval], Awaitable[Run]], approval: Approval, seconds: float
) -> Run:
    """Asks again while others have not approved the plan; the refusal stands once in the ledger."""
    until = time.monotonic() + seconds
    while True:
        try:
            return await run(approval)
        except ApprovalMissing as missing:
            if time.monotonic() >= until:
                raise
            if not approval.waits:
                output.note(f"dbdeck: {clean(missing.message)}\n  hint: {clean(missing.hint)}")
                ends = datetime.now(UTC) + timedelta(seconds=seconds)
                output.note(f"dbdeck: waiting for it until {ends:%H:%M:%S} UTC; Ctrl+C gives up")
            approval = msgspec.structs.replace(approval, waits=True)
            await asyncio.sleep(min(APPROVAL_SECONDS, max(0.0, until - time.monotonic())))


def _read_only(target: Target) -> None:
    if target.read_only:
        raise Refused(
            f"{target.name} is read-only: its config has no operator login; nothing was executed",
            "add `operator: {user: …, password: …}` to the target",
        )


def _check_key(key: str | None) -> None:
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise UsageError(f"an idempotency key has 1 to {LONGEST_KEY} characters; nothing was executed")


def _approve(plan: Plan, target: Target, options: ApplyOptions, ticket: bool) -> Approval:
    """The approval from the flags, or from a person at a terminal. Never prompts without one."""
    given = Approval(reason=options.reason, ticket=options.ticket, confirm=options.confirm)
    if plan.refusals:
        return given  # the dispatcher refuses, and says why
    if not options.yes:
        return _ask(plan, target, given, ticket and not given.ticket)
    if not given.reason.strip():
        raise UsageError("no reason was given; nothing was executed", "say why with --reason TEXT")
    for line in plan.warnings:
        output.note(f"warning: {clean(line)}")
    return given


def _ask(plan: Plan, target: Target, given: Approval, ticket: bool) -> Approval:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        wanted = ["--yes"] + ([] if given.reason.strip() else ["--reason TEXT"])
        wanted += ["--ticket T"] if ticket else []
        if must_type_name(plan, target):
            wanted.append(f"--confirm {target.name}")
        raise UsageError(
            f"{plan.action} wants an approval and there is no terminal to ask at; nothing was executed",
            f"give it with {' '.join(wanted)}",
        )
    for _, line in words.describe(plan):
        output.note(line)
    reason = given.reason or output.prompt("reason: ")
    number = output.prompt("ticket: ") if ticket else given.ticket
    confirm = given.confirm
    if must_type_name(plan, target):
        confirm = confirm or output.prompt(f"type the target's name ({target.name}) to go on: ")
    elif output.prompt("run it? [y/N] ").lower() not in ("y", "yes"):
        raise Refused("not approved; nothing was executed")
    return Approval(reason=reason, ticket=number, confirm=confirm)


def _fail(error: DbdeckError, shown: _Shown, options: ApplyOptions) -> int:
    code = int(getattr(error, "code", error.exit))
    if isinstance(error, AuditUnavailable):
        error = _unrecorded(error)
    elif code in _NO_INTENT and "nothing was" not in error.message:
        error.message += "; nothing was executed"
    if options.as_json:
        failure = Failure(kind=error.kind, message=error.message, hint=error.hint)
        output.document(_failed_document(shown, code, failure))
    output.complaint(error)
    return code


def _unrecorded(error: AuditUnavailable) -> DbdeckError:
    """With what was not done, and what there is to do, where the ledger's own words have neither."""
    error.message += "" if "nothing was executed" in error.message else "; nothing was executed"
    broken = isinstance(error, AuditForbidden | AuditMissing)
    glass_too = "" if broken else "; while it is out of reach, --break-glass, for whom policy lets"
    error.hint = error.hint or f"`dbdeck doctor` looks at the ledger{glass_too}"
    return error


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "schema": "dbdeck/run/1",
        "action": run.action,
        "target": run.target,
        "effect": run.effect,
        "exit": run.exit,
        "action_id": str(run.action_id),
        "intent": run.intent,
        "outcome": run.outcome,
        "recorded": run.recorded,
        "statements": list(run.statements),
        "verify": run.verify,
        "duration_ms": run.duration_ms,
        "error": run.error,
    }


def _failed_document(shown: _Shown, code: int, failure: Failure) -> dict[str, Any]:
    return {
        "schema": "dbdeck/run/1",
        "action": shown.action,
        "target": shown.target,
        "effect": "none",
        "exit": code,
        "action_id": None,
        "intent": None,
        "outcome": None,
        "recorded": True,
        "statements": list(shown.statements),
        "verify": None,
        "duration_ms": None,
        "error": failure,
    }
