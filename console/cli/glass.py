"""`apply --break-glass`, `audit merge`, `audit review`: acting without the ledger's table, and afterwards."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from console.audit.brackets import Bracket, unreviewed
from console.audit.merge import Merged, journals
from console.audit.record import Entry, Kind
from console.audit.unmerged import Unmerged
from console.cli import output
from console.cli.context import Services, ledger, row_number
from console.errors import DbdeckError, Exit, Refused, UsageError
from console.present.table import Tone

if TYPE_CHECKING:
    from console.audit.glass import GlassLedger
    from console.audit.ledger import Ledger
    from console.cli.act import ApplyOptions
    from console.config import Config
    from console.dispatch.dispatcher import Dispatcher
    from console.dispatch.registry import Registry
    from console.model.target import Target


# ---- acting -----------------------------------------------------------------------------------------


def refuse(config: Config, action: str, target: Target, options: ApplyOptions) -> None:
    """What can be said before anything is tried. Raises UsageError, Refused."""
    from console.dispatch.person import person
    from console.dispatch.policy import disabled, may_break_glass

    refuse_beside(options)
    if not (options.yes or (sys.stdin.isatty() and sys.stderr.isatty())):
        raise UsageError("there is no terminal to ask at; nothing was executed", "give --yes as well")
    if not options.reason.strip():
        raise UsageError("no reason was given; nothing was executed", "say why with --reason TEXT")
    if options.confirm != target.name:
        raise UsageError(
            "--break-glass wants the target's name typed, which --yes does not do; nothing was executed",
            f"--confirm {target.name}",
        )
    may_break_glass(config.policy, target, person())
    against = disabled(config.policy, target, action, datetime.now(UTC), person())
    if against is not None:
        raise Refused(f"{against.reason}; nothing was executed", against.hint)


def refuse_beside(options: ApplyOptions) -> None:
    """What needs the ledger cannot go without. Raises UsageError."""
    beside = {
        "--resume": options.resume,
        "--idempotency-key": options.idempotency_key,
        "--approve-wait": options.approve_wait,
    }
    for name, given in beside.items():
        if given and options.break_glass:
            raise UsageError(f"{name} needs the ledger, and --break-glass goes without; nothing was executed")


@asynccontextmanager
async def without_table(
    config: Config, registry: Registry, target: Target, reason: str
) -> AsyncIterator[Dispatcher]:
    """A dispatcher whose ledger is a journal. Raises Refused, AuditUnavailable."""
    from console.audit.glass import open_glass
    from console.cli.unlock import unlock
    from console.dispatch.breaking import terms
    from console.dispatch.dispatcher import Broken, Dispatcher
    from console.dispatch.person import person
    from console.dispatch.policy import may_break_glass
    from console.secret_store import of_this_process
    from console.secrets import resolve

    by = may_break_glass(config.policy, target, person())
    await unlock(config.audit.password)
    password = await asyncio.to_thread(resolve, config.audit.password) if config.audit.password else None
    what = terms(by, target, reason)
    opened = None
    try:
        async with open_glass(
            config.audit.url,
            config.journal,
            what,
            password=password,
            syslogs=config.audit.checkpoints.syslogs,
        ) as opened:
            output.note(
                f"dbdeck: BREAK-GLASS on {target.name}: the ledger is out of reach; "
                "what is done is in the journal only"
            )
            broken = Broken(target=target.name, by=by)
            made = Dispatcher(registry, opened, config.policy, store=of_this_process(), glass=broken)
            try:
                yield made
            finally:
                await made.close()
    finally:
        if opened is not None:  # what was refused is in it, too
            _tell_where(opened)


def _tell_where(opened: GlassLedger) -> None:
    output.note(
        f"dbdeck: {opened.rows} rows are in {opened.path} and nowhere else, the last is {opened.link[:16]}\n"
        "  hint: `dbdeck audit merge` when the ledger answers; then somebody else reviews it"
    )
    for address, (number, why) in opened.receipts.lost.items():
        output.note(f"dbdeck: {number} receipts of them are not known to be in {address}: {why}")


# ---- afterwards -------------------------------------------------------------------------------------


async def merge(services: Services, place: str | None, died: bool, as_json: bool) -> int:
    """Each journal by itself: one that is refused keeps none of the others."""
    async with ledger(services.config(), write=True) as opened:
        done, failed = await _merged(opened, await _journals(opened, place), died)
    if as_json:
        refused = [{"kind": one.kind, "message": one.message, "hint": one.hint} for one in failed]
        rows = [msgspec.to_builtins(one) for one in done]
        output.document({"schema": "dbdeck/merge/1", "rows": rows, "refused": refused})
    else:
        from console.present import audit as words

        for one in done:
            output.line(*words.merged(one))
    for error in failed:
        output.complaint(error)
    if done:
        output.note(
            "  hint: `dbdeck audit reconcile` settles what has no end; somebody else: `dbdeck audit review`"
        )
    elif not failed:
        output.note("there is nothing to merge")
    return failed[0].exit if failed else Exit.OK


async def _journals(opened: Ledger, place: str | None) -> list[Path]:
    if place is None:
        return [Path(one.path) for one in await opened.unmerged() if not one.alive]
    return await asyncio.to_thread(journals, Path(place))


async def _merged(
    opened: Ledger, paths: Sequence[Path], died: bool
) -> tuple[list[Merged], list[DbdeckError]]:
    done, failed = [], []
    for path in paths:
        try:
            done.append(await opened.merge(path, died=died))
        except DbdeckError as error:
            failed.append(error)
    return done, failed


async def review(services: Services, text: str, reason: str, yes: bool, as_json: bool) -> int:
    """Shows what was done, and records who has looked at it; it changes nothing else."""
    from console.engine.open import whoami
    from console.present import audit as words

    if not reason.strip():
        raise UsageError(
            "no reason was given; nothing was reviewed", "say what you looked at with --reason TEXT"
        )
    async with ledger(services.config(), write=True) as opened:
        bracket = await _meant(opened, text)
        for line in words.bracket(bracket):
            output.note(line)
        for one in words.lines(await _rows(opened, bracket)):
            output.note("  " + "  ".join(one.cells[2:]))
        if not yes and not _agrees():
            raise Refused("nothing was reviewed")
        await opened.review(bracket, reason, whoami())
    if as_json:
        output.document(
            {"schema": "dbdeck/review/1", "writer": str(bracket.writer), "reason": reason, "by": whoami()}
        )
    else:
        output.line(f"reviewed: the break-glass {bracket.writer}", Tone.GOOD)
    return Exit.OK


async def _meant(opened: Ledger, text: str) -> Bracket:
    """By its writer, or by an action or a row of it. Raises UsageError."""
    found = {one.writer: one for one in await opened.brackets()}
    writers = await _writers(opened, text)
    known = [found[one] for one in writers if one in found]
    if not known:
        raise UsageError(
            f"the ledger has no break-glass {text}; nothing was reviewed", "`dbdeck audit verify` names them"
        )
    if known[0].reviewed_by is not None:
        raise UsageError(f"{known[0].reviewed_by} reviewed it already; nothing was recorded")
    return known[0]


async def _writers(opened: Ledger, text: str) -> list[UUID]:
    if (number := row_number(text)) is not None:
        return [(await opened.row(number)).writer]
    try:
        named = UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is no id of a writer, an action or a row; nothing was reviewed") from None
    rows = await opened.entries(action_id=named, newest_first=False)
    return [named, *(row.writer for row in rows if row.kind == Kind.INTENT)]


async def _rows(opened: Ledger, bracket: Bracket) -> Sequence[Entry]:
    """What was done, in order."""
    (begin,) = [
        row
        for row in await opened.entries(
            action_id=bracket.writer, kinds=(Kind.BREAKGLASS,), newest_first=False
        )
        if row.writer == bracket.writer
    ][:1]
    found = []
    async for row in opened.stream(begin.id):
        if row.writer == bracket.writer:
            found.append(row)
            if row.seq == bracket.rows:
                break
    return found


def _agrees() -> bool:
    """At a terminal. Raises UsageError where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "there is no terminal to ask at; nothing was reviewed", "look at what was done, then give --yes"
        )
    said = output.prompt("have you looked at it, and is it as it should be? [y/N] ")
    return said.lower() in ("y", "yes")


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What of break-glass is not done with. `unknown`: why the ledger does not tell."""

    unmerged: tuple[Unmerged, ...] = ()
    unreviewed: tuple[Bracket, ...] = ()
    unknown: str = ""


async def left(config: Config) -> Left:
    """Raises nothing of the ledger's: who asks has other news too."""
    waiting: tuple[Unmerged, ...] | None = None
    try:
        async with ledger(config, write=False) as opened:
            waiting = tuple(await opened.unmerged())
            return Left(unmerged=waiting, unreviewed=unreviewed(await opened.brackets()))
    except DbdeckError as error:
        if waiting is not None:
            return Left(unmerged=waiting, unknown=error.message)
        there, unread = await asyncio.to_thread(_without_table, config)
        return Left(unmerged=there, unknown="; ".join(one for one in (error.message, unread) if one))


def _without_table(config: Config) -> tuple[tuple[Unmerged, ...], str]:
    """What the journals of this machine tell by the ledger's address; why they do not."""
    from console.audit.ledger import home
    from console.audit.unmerged import known_ledger, unmerged
    from console.audit.url import parse_url

    folder, sink = home(config.journal), parse_url(config.audit.url).sink
    try:
        return tuple(unmerged(folder, known_ledger(folder, sink), sink)), ""
    except DbdeckError as error:
        return (), error.message
