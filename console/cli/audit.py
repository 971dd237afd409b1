"""`audit …`: make, read, check and export the ledger, and settle what has no known end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from console.audit.record import Entry, Kind
from console.audit.unmerged import Unmerged
from console.audit.verify import Verification
from console.cli import output
from console.cli.context import Services, ledger, row_number
from console.errors import AuditUnavailable, Exit, LedgerFault, UsageError
from console.new_file import kept, written_over
from console.present import audit as words
from console.present.table import Tone
from console.present.units import clean, counted

if TYPE_CHECKING:
    from console.audit.definitions import Part
    from console.audit.export import Export
    from console.audit.ledger import Ledger
    from console.audit.marks import Base
    from console.config import Config
    from console.dispatch.reconcile import Word

_TOLD = 5  # lines of an export that are none


async def doctor(services: Services, as_json: bool) -> int:
    """Definitions, triggers and rights of the ledger, beside what dbdeck makes; 11 where one differs. What
    waits in journals is told while the ledger is away, too. Raises AuditUnavailable then.
    """
    from console.cli.glass import left

    config = services.config()
    parts, failed = await _inspected(config)
    still = await left(config)
    if as_json:
        output.document(
            {
                "schema": "dbdeck/audit-doctor/1",
                "rows": [msgspec.to_builtins(part) for part in parts],
                "unmerged": [msgspec.to_builtins(one) for one in still.unmerged],
                "unreviewed": [words.bracket_document(one) for one in still.unreviewed],
                "unknown": still.unknown or None,
            }
        )
    else:
        for part in parts:
            output.line(*words.part(part))
        for waiting in still.unmerged:
            hint = "" if waiting.spoilt or waiting.alive else "\n  hint: `dbdeck audit merge`"
            output.line(f"{words.unmerged_line(waiting)}{hint}", Tone.WARN)
        for one in still.unreviewed:
            output.line("\n".join(words.bracket(one)), Tone.WARN)
        if still.unknown:
            output.note(f"dbdeck: whether a break-glass wants a review is not known: {clean(still.unknown)}")
    if failed is not None:
        raise failed
    return Exit.LEDGER_FAULT if any(part.is_wrong for part in parts) else Exit.OK


async def _inspected(config: Config) -> tuple[Sequence[Part], AuditUnavailable | None]:
    """Its parts; none, and why, where the ledger is away."""
    from console.audit.ledger import inspect
    from console.cli.unlock import unlock
    from console.secrets import resolve

    await unlock(config.audit.password)
    password = await asyncio.to_thread(resolve, config.audit.password) if config.audit.password else None
    try:
        return await inspect(config.audit.url, password=password), None
    except AuditUnavailable as error:
        return (), error


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    limit: int
    action_id: str | None
    kinds: tuple[str, ...]
    as_json: bool
    as_csv: bool


async def init(
    services: Services, writers: tuple[str, ...], auditors: tuple[str, ...], redactors: tuple[str, ...]
) -> int:
    from console.audit.ledger import inspect, install
    from console.cli.unlock import unlock
    from console.secrets import resolve

    config = services.config()
    await unlock(config.audit.password)
    password = await asyncio.to_thread(resolve, config.audit.password) if config.audit.password else None
    made = await install(
        config.audit.url, password=password, writers=writers, auditors=auditors, redactors=redactors
    )
    for line in made:
        output.line(line, Tone.GOOD)
    left = [part for part in await inspect(config.audit.url, password=password) if part.state != "as made"]
    for part in left:  # what it may not, or cannot, mend, or see
        if not part.remedy or not any(part.remedy in line for line in made):
            output.line(*words.part(part))
    if not made and not left:
        output.note(
            "the ledger was there already; any part of it that was missing would have been made again"
        )
    return Exit.OK


async def list_rows(services: Services, options: ListOptions) -> int:
    kinds = tuple(_kind(name) for name in options.kinds)
    action = _uuid(options.action_id) if options.action_id else None
    async with ledger(services.config(), write=False) as opened:
        entries = await opened.entries(limit=options.limit, action_id=action, kinds=kinds or None)
    if options.as_json:
        output.document({"schema": "dbdeck/audit/1", "rows": words.document(entries)})
    elif options.as_csv:
        output.csv_rows(words.FIELDS, words.document(entries))
    else:
        output.table(words.COLUMNS, words.lines(entries))
    return Exit.OK


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError:
        raise UsageError(f"there is no kind {name!r}", f"one of: {', '.join(Kind)}") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is no action id", "`dbdeck audit list --json` shows them") from None


async def show(services: Services, text: str, as_json: bool) -> int:
    async with ledger(services.config(), write=False) as opened:
        number = row_number(text)
        action = _uuid(text) if number is None else await _action_of_row(await opened.entries(), number)
        entries = await opened.entries(action_id=action, newest_first=False)
    if not entries:
        raise UsageError(f"the ledger has no action {text}")
    if as_json:
        output.document({"schema": "dbdeck/audit/1", "rows": words.document(entries)})
        return Exit.OK
    for entry in entries:
        output.line(words.head(entry), Tone.NOTICE)
        output.line(words.text(entry))
    return Exit.OK


async def _action_of_row(entries: Sequence[Entry], number: int) -> UUID:
    for entry in entries:
        if entry.id == number:
            return entry.action_id
    raise UsageError(f"the ledger has no row {number}")


class VerifyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`paths`: exports instead of the ledger, with the `anchors` (files) and `trusted` keys given here."""

    paths: tuple[str, ...]
    anchors: tuple[str, ...]
    trusted: tuple[str, ...]
    incremental: bool
    as_json: bool


async def verify(services: Services, options: VerifyOptions) -> int:
    found = _verify_files(options) if options.paths else await _verify_ledger(services, options)
    if options.as_json:
        output.document(words.verification(found))
    else:
        for text, tone in words.verified(found):
            output.line(text, tone)
    for waiting in await _unmerged(services, options):
        output.note(f"dbdeck: {words.unmerged_line(waiting)}")
    return Exit.OK if found.ok else Exit.LEDGER_FAULT


async def _unmerged(services: Services, options: VerifyOptions) -> Sequence[Unmerged]:
    if options.paths:
        return ()
    async with ledger(services.config(), write=False) as opened:
        return await opened.unmerged()


async def _verify_ledger(services: Services, options: VerifyOptions) -> Verification:
    from console.cli.checkpoint import anchored, given, unlock_anchors

    config = services.config()
    trusted = options.trusted or config.audit.checkpoints.trusted
    if options.incremental and not trusted:
        raise UsageError(
            "--incremental goes on from a checkpoint of a trusted key, and no key is; nothing was verified",
            "name it in audit.checkpoints.trusted, or give --trust KEY",
        )
    await unlock_anchors(config)
    async with ledger(config, write=False) as opened:
        kept, wrong = await anchored(config, opened.id, trusted)
        points = {**kept, **given(options.anchors, trusted, opened.id)}
        since = await _base(opened, trusted) if options.incremental else None
        found = await opened.verify(anchored=points, trusted=trusted, since=since)
        if since is not None and found.ok:  # else everything was read already
            try:
                found = await _with_what_is_open(opened, found)
            except LedgerFault as error:  # a row that the checkpoint covers, and that is none any more
                output.note(f"{error.message}: everything is read")
                found = await opened.verify(anchored=points, trusted=trusted)
    return msgspec.structs.replace(found, faults=(*found.faults, *wrong))


async def _base(opened: Ledger, trusted: Collection[str]) -> Base | None:
    """Where to go on from; None, and why, where everything is to be read."""
    try:
        found = await opened.base(trusted)
    except LedgerFault as error:
        output.note(f"{error.message}, and it is a checkpoint: everything is read")
        return None
    if found is None:
        output.note("no checkpoint of a trusted key is there: everything is read")
    return found


async def _with_what_is_open(opened: Ledger, found: Verification) -> Verification:
    """What only the whole ledger tells. Raises LedgerFault."""
    unsettled = tuple(intent.action_id for intent in await opened.open_intents())
    return msgspec.structs.replace(found, open_intents=unsettled, brackets=await opened.brackets())


def _verify_files(options: VerifyOptions) -> Verification:
    from console.audit.export import verify_exports
    from console.cli.checkpoint import given

    if options.incremental:
        raise UsageError("--incremental is of the ledger, and an export is read whole; nothing was verified")
    paths = [Path(one).expanduser() for one in options.paths]
    anchored = given(options.anchors, options.trusted)
    found, read = verify_exports(paths, anchored=anchored, trusted=options.trusted)
    for path, number in read.junk[:_TOLD]:
        output.note(f"dbdeck: line {number} of {path} is no row of a ledger")
    if read.first > 1 and not found.ok:
        output.note(
            f"dbdeck: the first row that was read is row {read.first}: where it was exported with --above, "
            "give the exports before it, too (--file for each)"
        )
    return found


async def export(services: Services, name: str, form: str, above: int | None) -> int:
    """`form`: the plain rows, which can be verified, or lines for a log collector. `above` None: the ledger
    as it is now, for who does not go on from it.
    """
    from console.audit.export import Export, line_of
    from console.audit.siem import FORMATS

    # Who goes on after the last one must not miss one that comes before it.
    goes_on = above is not None or form in FORMATS
    with kept() if name == "-" else written_over(name) as file:
        async with ledger(services.config(), write=False) as opened:
            made = Export(opened, FORMATS.get(form, line_of), above or 0, goes_on=goes_on)
            await _fill(file, made, name)
        if made.held:
            output.note(
                f"dbdeck: {counted(made.held, 'row')} from {made.first_held} on are left for the next "
                "export: a row before them may be on its way still"
            )
        if name == "-":  # who reads it slowly keeps no transaction of the ledger open
            file.seek(0)
            sys.stdout.writelines(one.decode() for one in file)
            return Exit.OK
    output.note(f"{made.rows} rows written to {name}")
    return Exit.OK


async def _fill(file: IO[bytes], made: Export, name: str) -> None:
    """Raises UsageError where there is no room for it, and as `Ledger.stream`."""
    try:
        async for text in made.lines():
            file.write(f"{text}\n".encode())
        file.flush()
    except OSError as error:
        where = "a temporary file" if name == "-" else name
        raise UsageError(f"cannot write {where}: {error.strerror}; nothing was written") from None


async def redact(services: Services, number: int, reason: str, yes: bool) -> int:
    """Take the text of a row away; the row, its hash and who did it stay."""
    from console.engine.open import whoami

    if not reason.strip():
        raise UsageError("no reason was given; nothing was redacted", "say why with --reason TEXT")
    async with ledger(services.config(), write=True) as opened:
        entry = await opened.row(number)
        for text in (*words.lines([entry])[0].cells[1:4], clean(words.what(entry))):
            output.note(f"  {text}")
        if not yes:
            raise UsageError(
                f"nothing was redacted: the text of row {number} would be gone for good",
                "export the ledger first if you may keep it elsewhere; then say --yes",
            )
        left = await opened.redact(entry, reason, whoami())
    output.line(f"the text of row {number} is gone; its hash and who took it away are recorded", Tone.GOOD)
    for one in left:
        output.note(f"dbdeck: {one}")
    output.note("dbdeck: exports, backups, replicas and the server's own logs of before hold it still")
    return Exit.OK


async def open_intents(services: Services, as_json: bool) -> int:
    async with ledger(services.config(), write=False) as opened:
        found = await opened.open_intents()
    if as_json:
        rows = [words.open_intent(intent) for intent in found]
        output.document({"schema": "dbdeck/open-intents/1", "rows": rows})
    elif not found:
        output.note("every intent has an outcome")
    else:
        for intent in found:
            output.line(words.open_line(intent), Tone.WARN)
        output.note("settle what is not running with `dbdeck audit reconcile`")
    return Exit.OK


def _word(action_id: str | None, said: str | None, reason: str) -> Word | None:
    from console.dispatch.reconcile import Word
    from console.engine.open import whoami

    if not (action_id or said or reason):
        return None
    if not (action_id and said and reason.strip()):
        raise UsageError(
            "a person's word needs --action ID, --as applied or not-applied, and --reason TEXT; "
            "nothing was recorded"
        )
    state: Any = said.replace("-", "_")
    return Word(action_id=action_id, state=state, reason=reason, who=whoami())


async def reconcile(
    services: Services, action_id: str | None, said: str | None, reason: str, as_json: bool
) -> int:
    from console.cli.unlock import unlock_for
    from console.dispatch.reconcile import reconcile as settle
    from console.secret_store import of_this_process

    word = _word(action_id, said, reason)
    config = services.config()
    await unlock_for(config.all_targets(), store=True)
    async with ledger(config, write=True) as opened:
        targets = config.all_targets()
        settled = await settle(opened, services.registry(), targets, word, of_this_process())
    if as_json:
        output.document({"schema": "dbdeck/reconcile/1", "rows": settled})
    for one in settled:
        tone = Tone.WARN if one.state == "undecidable" else Tone.GOOD
        if not as_json:
            output.line(
                clean(f"{one.action} on {one.target} ({one.action_id}): {one.state}: {one.summary}"), tone
            )
    for one in settled:
        if one.state == "undecidable" and "audit merge" not in one.summary:
            output.note(
                f"hint: look yourself, then `dbdeck audit reconcile --action {one.action_id} "
                "--as applied|not-applied --reason TEXT`"
            )
    if not settled:
        output.note("nothing to settle")
    return Exit.UNKNOWN if any(one.state == "undecidable" for one in settled) else Exit.OK
