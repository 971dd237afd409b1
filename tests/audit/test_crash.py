"""kill -9 in the middle of an append: no false alarm, no lost promise, and the dead are known."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from uuid import UUID

from tests.audit.sinks import Sink

_ROOT = Path(__file__).resolve().parents[2]


async def start(sink: Sink) -> tuple[asyncio.subprocess.Process, UUID]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.audit.victim", sink.url, str(sink.journal)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{sink.password.reveal() if sink.password else ''}\n".encode())
    return process, UUID((await process.stdout.readline()).decode().strip())


async def test_kill_9_leaves_a_whole_ledger(sink: Sink) -> None:
    random.seed(sink.url)
    writers = set()
    for _ in range(4):
        both = [await start(sink), await start(sink)]
        await asyncio.sleep(random.uniform(0.02, 0.3))
        async with sink.open(write=False) as ledger:
            assert all(one.alive for one in await ledger.open_intents() if one.writer not in writers)
        for process, writer in both:
            process.kill()
            await process.wait()
            writers.add(writer)
    async with sink.open() as ledger:
        found = await ledger.verify()
        assert found.faults == ()
        assert found.writers == len(writers) + 1
        open_intents = await ledger.open_intents()
        for _ in range(50):  # the server takes a moment to notice that its client is gone
            if not any(one.alive for one in open_intents):
                break
            await asyncio.sleep(0.1)
            open_intents = await ledger.open_intents()
    assert {one.writer for one in open_intents} <= writers
    assert not any(one.alive for one in open_intents)
