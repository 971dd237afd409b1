"""`show overview`: all targets side by side, each with its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Final

from console.backups.board import read_drills
from console.cli import output
from console.cli.context import Services, choose
from console.cli.show import ShowOptions, past_drills
from console.cli.unlock import unlock_for
from console.config import Config
from console.engine.open import Engines
from console.errors import Exit, UsageError
from console.model.backup_board import DrillBoard
from console.model.overview import Standing
from console.model.target import Target
from console.overview import Overview
from console.poll import BUDGET, DEADLINE_SECONDS
from console.present import overview
from console.present.units import clean

_SETTLE_SECONDS: Final = 0.5  # between the two looks that rates are made of


async def show(services: Services, options: ShowOptions) -> int:
    """One document of all targets. The exit code is 3 where one of them did not answer."""
    if options.as_json and options.as_csv:
        raise UsageError("either --json or --csv, not both")
    if options.check:
        raise UsageError("--check is for `show accounts`; nothing was read")
    config = services.config()
    names = (options.target,) if options.target else ()
    chosen = choose(config, names, options.select)
    await unlock_for(chosen)
    async with aclosing(Engines()) as engines, aclosing(_board(config, chosen, engines, options)) as board:
        await board.look(DEADLINE_SECONDS)
        while True:
            await asyncio.sleep(_SETTLE_SECONDS if options.watch is None else options.watch)
            code = _tell(await board.look(DEADLINE_SECONDS), options.form)
            if options.watch is None:
                return code


def _board(config: Config, targets: Sequence[Target], engines: Engines, options: ShowOptions) -> Overview:
    """Of two looks alone the second is never put off, however long the first took: rates need both."""

    async def drills(target: Target) -> DrillBoard:
        return await read_drills(target, config.drills.targets, partial(past_drills, config))

    judge = overview.judge(config.thresholds.storm_waiters, config.thresholds.unread_wal)
    budget = 1.0 if options.watch is None else BUDGET
    return Overview(targets, engines.of, drills, judge, every=0.0, budget=budget)


def _tell(found: Sequence[Standing], form: str) -> int:
    rows = overview.document(found)
    if form == "json":
        output.document({"schema": "dbdeck/overview/1", "taken_at": datetime.now(UTC), "rows": rows})
    elif form == "csv":
        output.csv_rows(list(overview.document([overview.NOBODY])[0]), rows)
    else:
        output.note(overview.summary(found))
        if found:
            output.table(overview.columns(), overview.lines(found))
    for one in found:
        if one.problem is not None:
            output.note(f"note: {one.name}: {clean(one.problem.message)}")
    return Exit.UNREACHABLE if any(one.problem is not None for one in found) else Exit.OK
