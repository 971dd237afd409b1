"""`runbook run` and `resume`: runs, and going on with them or following them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import UUID

from console.cli import output
from console.cli.context import Services, dispatcher, one
from console.cli.meter import Meter, tell_progress
from console.cli.run import Interrupted, interrupted
from console.cli.runbook_answers import Decider, RunOptions, flag_for
from console.cli.runbook_documents import library, sound, target_names
from console.cli.runbook_told import Shown, run_number, tell_event, told_end
from console.cli.unlock import unlock_for
from console.dispatch.action import Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import pairs
from console.engine.open import open_engine, whoami
from console.engine.port import Engine
from console.errors import DbdeckError, Exit, Locked, UsageError
from console.model.target import Target
from console.present import runs as words
from console.present.reads import READS
from console.present.units import clean
from console.runbook.events import Event, Started
from console.runbook.history import Recalled, follow, recall
from console.runbook.holding import Ways, beginning, going_on, holder_of
from console.runbook.runner import Order, Runner, is_for, resumed, started
from console.runbook.state import APPROVAL, Run, code_of
from console.runbook.steps import Ask

WATCH_SECONDS = 5.0  # a runbook looks for itself at what comes of its effects

# ---- run and resume --------------------------------------------------------------------------


async def run(
    services: Services, name: str, given: Sequence[str], target: str | None, options: RunOptions
) -> int:
    shown = Shown(runbook=name, target=target)
    return await told_end(_run(services, name, given, options, shown), shown, options.as_json)


async def _run(services: Services, name: str, given: Sequence[str], options: RunOptions, shown: Shown) -> int:
    found = library(services)
    sound(services, found, name)
    decider = Decider(options)
    chosen = one(services.config(), shown.target)
    shown.target = chosen.name
    order = _order(options)
    await unlock_for([chosen], store=True)
    async with dispatcher(services.config(), services.registry()) as made, open_engine(chosen) as engine:
        begins = await started(
            found, name, pairs(tuple(given)), engine, order, targets=target_names(services)
        )
        async with beginning(_ways(services, made, engine, decider), begins, order) as runner:
            shown.code = await _go(runner, begins, options)
            _tell_unasked(runner, decider)
            return shown.code


async def resume(services: Services, run_id: str, options: RunOptions) -> int:
    """Goes on with a run by what the ledger says, or follows it where somebody else runs it."""
    shown = Shown(run=run_id)
    return await told_end(_resume(services, run_id, options, shown), shown, options.as_json)


async def _resume(services: Services, run_id: str, options: RunOptions, shown: Shown) -> int:
    decider = Decider(options)
    number = run_number(run_id)
    async with dispatcher(services.config(), services.registry()) as made:
        recalled = await recall(made.ledger, number)
        begins = recalled.run.started
        shown.runbook, shown.target = begins.runbook, begins.target
        if recalled.run.ended is not None:
            return _ended(recalled, options)
        chosen = services.config().target(begins.target)
        order = _order(options, begins)
        await unlock_for([chosen], store=True)
        async with open_engine(chosen) as engine, contextlib.AsyncExitStack() as stack:
            held = going_on(_ways(services, made, engine, decider), number, order)
            try:
                runner = await stack.enter_async_context(held)
            except Locked as locked:
                output.complaint(locked)
                return await _follow(made, chosen, recalled, options)
            _tell_holder(runner.run, order.by)
            shown.code = await _go(runner, resumed(order), options)
            _tell_unasked(runner, decider)
            return shown.code


def _tell_unasked(runner: Runner, decider: Decider) -> None:
    """Where a run waits for an answer, one that was given under another name may be the one that is meant."""
    if runner.waiting is not None and (unasked := decider.unasked):
        output.note(f"dbdeck: nothing asked for {clean(', '.join(unasked))}")


def _tell_holder(run: Run, by: str) -> None:
    """Whoever goes on with what is another's now should know it; they may, and it is recorded."""
    if run.handed is not None and not is_for(run.handed.to, by):
        output.note(f"dbdeck: this run was {run.holder}; {clean(by)} goes on with it now, which is recorded")


def _order(options: RunOptions, begins: Started | None = None) -> Order:
    """Raises UsageError for a run without a reason."""
    reason = options.reason or (begins.reason if begins else "")
    if not reason.strip():
        raise UsageError("no reason was given; nothing was started", "say why with --reason TEXT")
    return Order(reason=reason, ticket=options.ticket or (begins.ticket if begins else ""), by=whoami())


def _ways(services: Services, made: Dispatcher, engine: Engine, decider: Decider) -> Ways:
    config = services.config()
    seconds = min(WATCH_SECONDS, config.thresholds.watch)
    watch = Watch(seconds=seconds, tell=tell_progress, advance=Meter())
    return Ways(
        dispatcher=made, engine=engine, reads=READS, decide=decider, watch=watch, targets=config.target
    )


async def _go(runner: Runner, first: Event, options: RunOptions) -> int:
    """The exit code says what became of the run, whatever becomes of the words about it."""
    failed: DbdeckError | None = None
    signalled: Interrupted | None = None
    try:
        async for event in runner.events(first):
            tell_event(str(runner.id), event, options.as_json)
    except asyncio.CancelledError as cancelled:
        if not runner.has_begun:
            raise
        output.note("dbdeck: interrupted; what was begun is recorded")
        signalled = interrupted(cancelled)
    except DbdeckError as error:
        if not runner.has_begun:
            raise
        failed = error
        output.complaint(error)
    code = runner.code
    if code not in (8, 9) and (early := failed or signalled) is not None:
        code = int(getattr(early, "code", early.exit))
    _conclude(runner, code, options)
    return code


def _way_on(run_id: str, asked: Ask) -> str:
    """What answers it. A run is approved by somebody else, who does not go on with it."""
    if asked.question == APPROVAL:
        return (
            f"somebody else: `dbdeck runbook approve {run_id} --reason TEXT`; "
            f"then `dbdeck runbook resume {run_id}`"
        )
    return f"`dbdeck runbook resume {run_id} {flag_for(asked)}`"


def _conclude(runner: Runner, code: int, options: RunOptions) -> None:
    asked = runner.waiting
    if asked is not None:
        output.note(f"dbdeck: the run waits: {asked.text}")
        output.note(f"  hint: {_way_on(str(runner.id), asked)}")
    elif runner.run.ended is None:
        output.note(f"dbdeck: the run has not ended\n  hint: `dbdeck runbook resume {runner.id}`")
    if options.as_json:
        with contextlib.suppress(OSError):
            output.document(words.concluded(runner.run, asked, code))


# ---- looking on --------------------------------------------------------------------------------


async def _follow(made: Dispatcher, target: Target, recalled: Recalled, options: RunOptions) -> int:
    """Until it ends; exit 7 where its runner is gone before that."""
    number = UUID(recalled.run.started.run)
    known = recalled.events[-1].id

    async def held() -> bool:
        return await holder_of(made, target, number) is not None

    async for recorded in follow(made.ledger, number, known, held):
        tell_event(str(number), recorded.event, options.as_json)
    after = await recall(made.ledger, number)
    if after.run.ended is None:
        output.note(
            f"dbdeck: its runner is gone; nothing was done here\n  hint: `dbdeck runbook resume {number}`"
        )
        if options.as_json:
            output.document(words.concluded(after.run, None, Exit.LOCKED))
        return Exit.LOCKED
    return _conclude_ended(after.run, options)


def _ended(recalled: Recalled, options: RunOptions) -> int:
    ended = recalled.run.ended
    if ended is None:
        raise RuntimeError("the run has not ended")
    output.note(f"dbdeck: the run has ended as {ended.result}; nothing was done now")
    tell_event(recalled.run.started.run, ended, options.as_json)
    return _conclude_ended(recalled.run, options)


def _conclude_ended(run: Run, options: RunOptions) -> int:
    """Of a run that others brought to its end."""
    if run.ended is None:
        raise RuntimeError("the run has not ended")
    code = code_of(run.ended.result, run)
    if options.as_json:
        output.document(words.concluded(run, None, code))
    return code
