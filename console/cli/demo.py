"""`demo`: the console on a live incident, or the same incident walked and printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from console.cli import output
from console.cli.console import must_be_seen
from console.cli.context import Services, dispatcher, ledger
from console.config import Config
from console.dispatch.action import Approval
from console.dispatch.effect import Run
from console.engine.open import open_engine
from console.errors import ActionFailed, Exit, LedgerFault
from console.model.blocking import LockNode
from console.present import audit, locks
from console.present import plan as words
from console.present.table import Tone


async def demo(services: Services, scenario: str, *, headless: bool) -> int:
    from console.demo.server import demo_server

    walks = headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    if not walks:
        must_be_seen()
    start = time.monotonic()
    output.note(f"starting a throw-away PostgreSQL with the scenario {scenario} …")
    async with demo_server() as config:
        output.note(f"ready after {time.monotonic() - start:.1f} s; everything is removed at the end")
        if walks:
            return await _walk(services, config)
        return await services.console(config, "")


async def _walk(services: Services, config: Config) -> int:
    """See the storm, end its worst root blocker through the dispatcher, read what was recorded."""
    target = config.all_targets()[0]
    async with dispatcher(config, services.registry()) as runner, open_engine(target) as engine:
        _title("1. the blocking tree")
        nodes = await engine.locks()
        _tree(nodes)
        root = nodes[0]
        _title("2. what ending the worst root blocker would do")
        given = {"id": root.session.id, "started_at": root.session.started_at}
        plan = await runner.plan("session.terminate", engine, given)
        for tone, line in words.describe(plan):
            output.line(line, tone)
        _title("3. doing it: recorded first, then executed, then verified")
        run = await runner.apply(plan, engine, Approval(reason="demo: the storm's worst root blocker"))
        for tone, line in words.conclude(run):
            output.line(line, tone)
        _title("4. the tree afterwards")
        _tree(await engine.locks())
    await _ledger(config, run)
    return await _judge(run, root)


async def _ledger(config: Config, run: Run) -> None:
    _title("5. the ledger: the intent was there before the effect")
    async with ledger(config, write=False) as opened:
        entries = await opened.entries(action_id=run.action_id, newest_first=False)
        output.table(audit.COLUMNS, audit.lines(entries))
        verified = await opened.verify()
    output.line(f"verified: {verified.rows} rows, {len(verified.faults)} faults", Tone.GOOD)
    if not verified.ok:
        raise LedgerFault("the demo's own ledger does not verify")


async def _judge(run: Run, root: LockNode) -> int:
    if run.effect != "applied":
        raise ActionFailed(f"the root blocker {root.session.id} was not ended")
    return Exit.OK


def _tree(nodes: Sequence[LockNode]) -> None:
    output.line(locks.summary(nodes), Tone.NOTICE)
    output.table(locks.COLUMNS, locks.lines(nodes))


def _title(text: str) -> None:
    output.line("")
    output.line(text, Tone.NOTICE)
