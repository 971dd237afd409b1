"""Processes that plan and apply one action and kill themselves amid it: forked from one that has everything
imported, a job a line on standard input, how it ended a line on standard output.

This process itself has neither a loop nor a thread nor a connection, so that a fork of it is a whole process.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

import actions
from actions import following
from console.audit import who
from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Kind, Receipt
from console.config import parse
from console.dispatch.action import Approval, Watch
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.errors import DbdeckError
from console.model.policy import Policy
from console.secrets import Secret
from tests.crashing.job import BROKE, Ended, Job
from tests.crashing.keeping import store_at

SECONDS = 100
# What comes back after the quiet is a test of its own.
FOLLOWED = 0.3


class Mortal(asyncio.SelectorEventLoop):
    """Ends its process with SIGKILL at a turn: whatever awaited is resumed once in each turn."""

    turns: int | None = None
    intent = 0
    _last = 0

    def stop_at(self, turn: int) -> None:
        """Counted from now on; 0 is never."""
        self.turns, self._last = 0, turn

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]  # not in the stubs: it is asyncio's own
        if self.turns is not None:
            self.turns += 1
            if self.turns == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def note_intent(ledger: Ledger, loop: Mortal) -> None:
    append = ledger.append

    async def noting(kind: Kind, *args: Any, **options: Any) -> Receipt:
        if kind is Kind.INTENT:
            loop.intent = loop.turns or 0
        return await append(kind, *args, **options)

    ledger.append = noting  # type: ignore[method-assign]


async def live(job: Job, loop: Mortal) -> Ended:
    target = parse(job.config).target("t")
    word = Secret(os.environ[job.word]) if job.word else None
    async with (
        open_ledger(job.ledger, Path(job.journal), password=word) as ledger,
        open_engine(target) as engine,
    ):
        store = store_at(Path(job.vault)) if job.vault else None
        here = Dispatcher(Registry(actions.ALL), ledger, Policy(), store=store)
        try:
            plan = await here.plan(job.action, engine, job.args)
            approval = Approval(reason="killed", confirm=plan.target)
            loop.stop_at(job.stop)
            note_intent(ledger, loop)
            run = await here.apply(plan, engine, approval, watch=Watch(seconds=FOLLOWED))
            turns, loop.turns = loop.turns or 0, None
        finally:
            await here.close()
    said = f"{run.error.kind}: {run.error.message}" if run.error else run.effect
    return Ended(
        killed=False, turns=turns, intent=loop.intent, exit=int(run.exit), effect=run.effect, said=said
    )


def die_or_tell(job: Job, out: int) -> None:
    loop = Mortal()
    asyncio.set_event_loop(loop)
    try:
        ended = loop.run_until_complete(live(job, loop))
    except DbdeckError as error:
        ended = Ended(killed=False, exit=int(error.exit), said=f"{error.kind}: {error.message}")
    except BaseException as error:  # noqa: BLE001 - told to who asked, who fails then
        ended = Ended(killed=False, exit=BROKE, said=f"broke: {type(error).__name__}: {error}")
    os.write(out, msgspec.json.encode(ended))


def fork(job: Job) -> Ended:
    """Raises nothing: a child that hangs is ended."""
    back, out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(back)
        signal.alarm(SECONDS)
        os.setsid()
        try:
            die_or_tell(job, out)
        finally:
            os._exit(0)
    os.close(out)
    told = b"".join(iter(lambda: os.read(back, 65536), b""))
    os.close(back)
    _, status = os.waitpid(child, 0)
    if told:
        return msgspec.json.decode(told, type=Ended)
    ended = os.waitstatus_to_exitcode(status)
    return Ended(killed=ended == -signal.SIGKILL, turns=job.stop, exit=ended, said=f"ended by {-ended}")


def warm() -> None:
    """What a first action would import or compute, so that no fork has to."""
    for name in _LATE:
        importlib.import_module(name)
    who.code_hash()
    gc.freeze()


_LATE = (
    *(f"console.engine.{one}.{part}" for one in ("postgres", "mysql") for part in ("engine", "operator")),
    *(f"console.audit.table.{one}" for one in ("sqlite", "postgres", "mysql")),
    *("actions.restorers", "actions.takers", "console.backups.catalogue"),
)


def main() -> None:
    following.QUIET_SECONDS = FOLLOWED
    warm()
    for line in sys.stdin.buffer:
        ended: Any = fork(msgspec.json.decode(line, type=Job))
        sys.stdout.buffer.write(msgspec.json.encode(ended) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
