"""`runbook status`: the newest runs, or every event of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from console.cli import output
from console.cli.context import Services, ledger
from console.cli.runbook_told import run_number
from console.errors import Exit
from console.present import runs as words
from console.present.table import Column, Line
from console.present.units import clean
from console.runbook.events import encode
from console.runbook.history import Recalled, recall, runs

STATUS_RUNS = 20
_RUNS = (
    Column(title="run", width=36),
    Column(title="began (UTC)", width=19),
    Column(title="runbook", width=24),
    Column(title="target", width=16),
    Column(title="by", width=20, drop=1),
    Column(title="state", width=20, grow=True),
)


async def status(services: Services, run_id: str | None, as_json: bool) -> int:
    """The newest runs, or every event of one."""
    async with _reading(services) as opened:
        if run_id is None:
            found = await runs(opened, STATUS_RUNS)
        else:
            recalled = await recall(opened, run_number(run_id))
    if run_id is None:
        _tell_runs(found, as_json)
        return Exit.OK
    if as_json:
        rows = [{"id": one.id, "at": one.at, **encode(one.event)} for one in recalled.events]
        output.document(
            {"schema": "dbdeck/runbook-status/1", "run": run_id, "state": _state(recalled), "rows": rows}
        )
        return Exit.OK
    for one_event in recalled.events:
        tone, text = words.line(one_event.event)
        output.line(f"{one_event.at:%Y-%m-%d %H:%M:%S}  {text}", tone)
    return Exit.OK


@asynccontextmanager
async def _reading(services: Services) -> AsyncIterator[Any]:
    async with ledger(services.config(), write=False) as opened:
        yield opened


def _tell_runs(found: Sequence[Recalled], as_json: bool) -> None:
    if as_json:
        output.document({"schema": "dbdeck/runbook-runs/1", "rows": [_row(one) for one in found]})
        return
    lines = []
    for one_run in found:
        row = _row(one_run)
        began = f"{row['began']:%Y-%m-%d %H:%M:%S}"
        cells = (row["run"], began, row["runbook"], row["target"], row["by"], row["state"])
        lines.append(Line(key=row["run"], cells=cells))
    output.table(_RUNS, lines)


def _row(recalled: Recalled) -> dict[str, Any]:
    begins = recalled.run.started
    return {
        "run": begins.run,
        "began": recalled.events[0].at,
        "runbook": begins.runbook,
        "target": begins.target,
        "by": begins.by,
        "state": _state(recalled),
        "holder": recalled.run.handed.to if recalled.run.handed else None,
        "events": len(recalled.events),
    }


def _state(recalled: Recalled) -> str:
    if recalled.run.ended is not None:
        return recalled.run.ended.result
    state = "outcome unknown" if recalled.run.unsettled else "not ended"
    return f"{state}, {clean(recalled.run.holder)}" if recalled.run.handed else state
