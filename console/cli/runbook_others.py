"""`runbook handover`, `stop` and `approve`: what others do with a run than run it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from console.cli import output
from console.cli.context import Services, dispatcher
from console.cli.runbook_told import Shown, run_number, tell_event, told_end
from console.cli.unlock import unlock_for
from console.dispatch.dispatcher import Dispatcher
from console.engine.open import whoami
from console.errors import Exit, OutcomeUnknown, Refused, UsageError
from console.present import runs as words
from console.present.units import clean
from console.runbook.events import Decided, Ended, HandedOver
from console.runbook.history import Recalled, add, recall
from console.runbook.state import APPROVAL, STOP, advance, code_of
from console.runbook.steps import Ask, Finish, approved, next_step


class _Left(msgspec.Struct, frozen=True):
    """A run that nobody runs, held for as long as something is recorded of it."""

    made: Dispatcher
    recalled: Recalled


@asynccontextmanager
async def _left(services: Services, run_id: str) -> AsyncIterator[_Left]:
    """Raises UsageError where it has ended, Locked where somebody runs it, and what its target raises."""
    number = run_number(run_id)
    async with dispatcher(services.config(), services.registry()) as made:
        started = (await recall(made.ledger, number)).run.started
        target = services.config().target(started.target)
        await unlock_for([target])
        async with made.holding(target, [f"run:{number}"], f"the run {number}"):
            recalled = await recall(made.ledger, number)  # by now nobody else adds to it
            if recalled.run.ended is not None:
                raise UsageError(f"the run has ended as {recalled.run.ended.result}; nothing was recorded")
            yield _Left(made, recalled)


async def hand_over(services: Services, run_id: str, to: str, note: str, as_json: bool) -> int:
    """Says whose it is from now on; nobody is kept from going on with it."""
    return await told_end(_hand_over(services, run_id, to, note, as_json), Shown(run=run_id), as_json)


async def _hand_over(services: Services, run_id: str, to: str, note: str, as_json: bool) -> int:
    if not to.strip():
        raise UsageError("nobody was named; nothing was recorded", "--to NAME")
    async with _left(services, run_id) as left:
        event = HandedOver(by=whoami(), to=to.strip(), text=note)
        await add(left.made.ledger, left.recalled.run, event, event.by)
    tell_event(run_id, event, as_json)
    return Exit.OK


async def approve(services: Services, run_id: str, reason: str, as_json: bool) -> int:
    """From wherever the ledger can be reached; who runs it, or resumes it, sees it there."""
    return await told_end(_approve(services, run_id, reason, as_json), Shown(run=run_id), as_json)


async def _approve(services: Services, run_id: str, reason: str, as_json: bool) -> int:
    if not reason.strip():
        raise UsageError("no reason was given; nothing was recorded", "say why with --reason TEXT")
    number = run_number(run_id)
    async with dispatcher(services.config(), services.registry()) as made:
        recalled = await recall(made.ledger, number)
        due = next_step(recalled.documents, recalled.run)
        if not isinstance(due, Ask) or due.question != APPROVAL:
            raise UsageError("this run wants no approval now; nothing was recorded", _show(run_id))
        by, person = whoami(), made.ledger.own_person
        _may_approve(recalled, by, person)
        event = Decided(step=APPROVAL, question=APPROVAL, decision="approve", by=by, text=reason.strip())
        run = await add(made.ledger, recalled.run, event, by)
        due = next_step(recalled.documents, run)
    tell_event(run_id, event, as_json)
    if not person:
        output.note(f"dbdeck: {clean(by)} is what this machine says; a ledger in a file verifies no login")
    if isinstance(due, Ask) and due.question == APPROVAL:
        output.note(f"dbdeck: more are wanted: {clean(due.text)}")
    else:
        output.note(f"  hint: whoever started it goes on with `dbdeck runbook resume {run_id}`")
    return Exit.OK


def _may_approve(recalled: Recalled, by: str, person: str) -> None:
    """Raises Refused for who started it, and UsageError for who approved it already."""
    run, who = recalled.run, person or by
    wanted = recalled.documents[run.started.runbook].approvals
    if wanted is None:
        raise RuntimeError("an approval was asked for that the document does not want")
    if who == run.requester:
        known = f"for the ledger you both are {who}" if person else f"that is {who}"
        raise Refused(
            f"who started a run does not approve it, and {known}; nothing was recorded",
            "somebody else approves it" + (", with a login of their own in the ledger" if person else ""),
        )
    if "executor" in wanted.distinct_from and who == run.executor:
        raise Refused(f"who runs it does not approve it, and that is {who}; nothing was recorded")
    if who in approved(run, wanted)[0]:
        raise UsageError(f"{who} approved it already; nothing was recorded", _show(run.started.run))


def _show(run_id: str) -> str:
    return f"`dbdeck runbook status {run_id}` tells what it waits for"


async def stop(services: Services, run_id: str, reason: str, as_json: bool) -> int:
    """Ends a run that waits or was left. What it changed stands, and the exit code says whether any does.

    An action whose end is not recorded yet is looked for first, which is what `resume` does.
    """
    return await told_end(_stop(services, run_id, reason, as_json), Shown(run=run_id), as_json)


async def _stop(services: Services, run_id: str, reason: str, as_json: bool) -> int:
    if not reason.strip():
        raise UsageError("no reason was given; nothing was recorded", "say why with --reason TEXT")
    async with _left(services, run_id) as left:
        run, ledger, by = left.recalled.run, left.made.ledger, whoami()
        if run.cut_short:
            raise OutcomeUnknown(
                f"{run.cut_short} was begun and its end is not recorded; nothing was recorded now",
                f"`dbdeck runbook resume {run_id}` looks for it first",
            )
        event = Decided(step="", question=STOP, decision="stop", by=by, text=reason.strip())
        due = next_step(left.recalled.documents, advance(run, event))
        if not isinstance(due, Finish):
            raise OutcomeUnknown(
                "nobody knows yet what there is to take back; nothing was recorded now",
                f"`dbdeck runbook resume {run_id}` looks for it first",
            )
        run = await add(ledger, run, event, by)
        ended = Ended(result=due.result, text=due.text)
        run = await add(ledger, run, ended, by)
    code = code_of(ended.result, run)
    tell_event(run_id, event, as_json)
    tell_event(run_id, ended, as_json)
    if as_json:
        output.document(words.concluded(run, None, code))
    elif run.effects:
        output.note(f"dbdeck: what it did stands: {', '.join(run.effects)}")
    return code
