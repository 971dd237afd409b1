"""What is said of a run on stdout: events, and one document of its end, a refusal too."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import msgspec

from console.cli import output
from console.cli.run import interrupted
from console.errors import DbdeckError, UsageError
from console.present import runs as words
from console.runbook.events import Event, encode


class Shown(msgspec.Struct):
    """What is known of a command that may yet be refused. `code`: its end was told, whatever follows."""

    runbook: str | None = None
    target: str | None = None
    run: str | None = None
    code: int | None = None


async def told_end(work: Coroutine[Any, Any, int], shown: Shown, as_json: bool) -> int:
    """The exit code of a command; with --json every end, a refusal too, is a `dbdeck/runbook-run/1` document.

    Once its end was told, nothing that goes wrong after changes what is said of it.
    """
    try:
        return await work
    except asyncio.CancelledError as cancelled:
        signalled = interrupted(cancelled)
        if signalled is None:
            raise
        error: DbdeckError = signalled
    except DbdeckError as refused:
        error = refused
    output.complaint(error)
    if shown.code is not None:
        return shown.code
    code = int(getattr(error, "code", error.exit))
    if as_json:
        output.document(words.refused(shown.runbook, shown.target, shown.run, code, error))
    return code


def tell_event(run_id: str, event: Event, as_json: bool) -> None:
    try:
        if as_json:
            output.document({"schema": "dbdeck/run-event/1", "run": run_id, **encode(event)})
        else:
            tone, text = words.line(event)
            output.line(text, tone)
    except OSError as error:
        output.lost(error)


def run_number(text: str) -> UUID:
    """Raises UsageError."""
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no id of a run; nothing was started", "`dbdeck runbook status` lists them"
        ) from None
