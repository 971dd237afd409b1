"""`runbook list --suggest`: what a target speaks for now; and `runbook note`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from console.cli import output
from console.cli.context import Services, ledger, one
from console.cli.runbook_documents import library, summary
from console.cli.runbook_told import run_number
from console.cli.unlock import unlock_for
from console.engine.open import open_engine, whoami
from console.engine.port import Engine
from console.errors import DbdeckError, Exit, UsageError
from console.present.reads import READS
from console.present.table import Column, Line
from console.present.units import clean
from console.runbook.holding import remark
from console.runbook.params import supports
from console.runbook.runner import facts
from console.runbook.suggesting import BESIDE, Suggested, matches, suggested, wanted
from console.runbook.values import UNKNOWN

LOOK_SECONDS = 15.0
_SUGGESTED = (
    Column(title="id", width=28),
    Column(title="why", width=40, grow=True),
)


async def suggest(services: Services, symptom: str, target: str | None, as_json: bool) -> int:
    """Reads what suggestions rest on, each once; what cannot be read is told and claims nothing."""
    found = library(services)
    for fault in found.faults:
        output.complaint(fault)
    chosen = one(services.config(), target)
    await unlock_for([chosen])
    async with open_engine(chosen) as engine:
        server = await engine.identity()
        documents = [
            loaded.document
            for loaded in found
            if matches(loaded.document, symptom)
            and supports(loaded.document, server.flavor, server.version_num)
        ]
        names = {**dict.fromkeys((*READS, *BESIDE), UNKNOWN), **facts(chosen, server)}
        names |= await _seen(engine, wanted(documents) & READS.keys())
    _tell([*suggested(documents, names)], {loaded.id: summary(loaded) for loaded in found}, as_json)
    return Exit.USAGE if found.faults else Exit.OK


async def _seen(engine: Engine, reads: Iterable[str]) -> dict[str, Any]:
    """By name; one that failed is left out, and says so on stderr."""
    found: dict[str, Any] = {"trouble": ""}
    for name in sorted(reads):
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found[name] = await READS[name](engine)
        except TimeoutError:
            output.note(f"dbdeck: {name} is not known: no answer in {LOOK_SECONDS:g} s")
        except DbdeckError as error:
            output.note(f"dbdeck: {name} is not known: {clean(error.message)}")
    return found


def _tell(found: list[Suggested], about: dict[str, dict[str, Any]], as_json: bool) -> None:
    if as_json:
        rows = [{**about[one.runbook], "why": one.text, "params": one.given} for one in found]
        output.document({"schema": "dbdeck/runbook-suggestions/1", "rows": rows})
    elif found:
        lines = [Line(key=one.runbook, cells=(one.runbook, clean(one.text))) for one in found]
        output.table(_SUGGESTED, lines)
    else:
        output.note(
            "dbdeck: nothing that is seen now speaks for a runbook\n  hint: `--symptom WORDS` searches"
        )


async def note(services: Services, run_id: str, text: str) -> int:
    """Raises UsageError for a run that is not there, AuditUnavailable."""
    if not text.strip():
        raise UsageError("the note is empty; nothing was recorded")
    async with ledger(services.config(), write=True) as opened:
        await remark(opened, run_number(run_id), text.strip(), whoami())
    output.note(f"noted beside the run {run_id}: `dbdeck runbook status {run_id}` has it")
    return Exit.OK
