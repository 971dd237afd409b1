"""`audit compare`: what a server shows beside what the ledger says was done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.cli import output
from console.cli.context import Services, ledger, one
from console.cli.unlock import unlock_for
from console.dispatch.comparing import compare_server
from console.engine.open import open_engine
from console.errors import Exit, UsageError
from console.model.effects import Standing
from console.model.instants import instant
from console.present import effects as words
from console.secret_store import of_this_process


async def compare(services: Services, target: str | None, since: str | None, as_json: bool) -> int:
    """11 where something is undeclared."""
    until = _moment(since) if since else None
    config = services.config()
    chosen = one(config, target)
    await unlock_for([chosen], store=True)
    async with ledger(config, write=True) as opened, open_engine(chosen) as engine:
        found = await compare_server(engine, opened, of_this_process(), until)
    if as_json:
        output.document(words.document(found))
    else:
        if found.findings:
            output.table(words.COLUMNS, words.lines(found))
        output.line(*words.verdict(found))
        for text in words.remarks(found):
            output.note(text)
    return Exit.LEDGER_FAULT if found.of(Standing.UNDECLARED) else Exit.OK


_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _moment(text: str) -> datetime:
    """A time in ISO 8601, UTC where no zone is told, or how long ago: `8h`, `2d`."""
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit and number.isdecimal():
        return datetime.now(UTC) - timedelta(**{unit: int(number)})
    found = instant(text)
    if found is None:
        raise UsageError(
            f"--since {text!r} is no time; nothing was looked at", "such as 2026-11-26T08:00, 8h or 2d"
        )
    return found
