"""Many writers on one ledger while they are killed and its server is restarted: does the record stay true?

    python -m tests.audit.soaking pg18 --minutes 5 --writers 16

An effect is a line in a file, written through to the disk after the intent and before the outcome. In the end
each one has its intent, no chain has a fork, and nobody who verified meanwhile was told of a fault.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Kind
from console.errors import AuditUnavailable, DbdeckError
from console.secrets import Secret
from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink

_ROOT = Path(__file__).resolve().parents[2]
KILL_SECONDS = (0.1, 0.9)
RESTART_SECONDS = 12.0
VERIFY_SECONDS = 3.0
PATIENCE = 60.0


class Soaked(NamedTuple):
    """Counts; `alarms` are faults that anybody was told of, `unintended` effects without an intent."""

    rows: int
    intents: int
    effects: int
    kills: int
    restarts: int
    looks: int
    alarms: list[str]
    unintended: int
    forks: int

    @property
    def true(self) -> bool:
        return not (self.alarms or self.unintended or self.forks)


async def soak(
    sink: Sink,
    folder: Path,
    *,
    seconds: float,
    writers: int,
    seed: int,
    restart: Callable[[], Awaitable[None]] | None = None,
) -> Soaked:
    """`restart` ends the ledger's server, now in order and now not, and starts it again."""
    dice, effects = random.Random(seed), folder / "effects"
    effects.touch()
    running = [await start(sink, effects) for _ in range(writers)]
    until = time.monotonic() + seconds
    looking = asyncio.create_task(look_again_and_again(sink, until))
    restarting = asyncio.create_task(restart_again_and_again(restart, until))
    kills = 0
    try:
        while time.monotonic() < until:
            await asyncio.sleep(dice.uniform(*KILL_SECONDS))
            number = dice.randrange(writers)
            await kill(running[number])
            kills += 1
            running[number] = await start(sink, effects)
        looks, alarms = await looking
        restarts = await restarting
    finally:
        looking.cancel()
        restarting.cancel()
        for one in running:
            await kill(one)
    return await told(sink, effects, Soaked(0, 0, 0, kills, restarts, looks, alarms, 0, 0))


async def start(sink: Sink, effects: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.audit.soaking", "--write", sink.url, str(sink.journal), str(effects)),
        stdin=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    process.stdin.write(f"{sink.password.reveal() if sink.password else ''}\n".encode())
    await process.stdin.drain()
    process.stdin.close()
    return process


async def kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def look_again_and_again(sink: Sink, until: float) -> tuple[int, list[str]]:
    looks, alarms = 0, []
    while time.monotonic() < until:
        await asyncio.sleep(VERIFY_SECONDS)
        with contextlib.suppress(AuditUnavailable):  # its server is down
            async with sink.open(write=False) as ledger:
                alarms += [str(fault) for fault in (await ledger.verify()).faults]
                looks += 1
    return looks, alarms


async def restart_again_and_again(restart: Callable[[], Awaitable[None]] | None, until: float) -> int:
    times = 0
    while restart is not None and time.monotonic() + RESTART_SECONDS < until:
        await asyncio.sleep(RESTART_SECONDS)
        await restart()
        times += 1
    return times


async def told(sink: Sink, effects: Path, counts: Soaked) -> Soaked:
    """With what the ledger says when all is quiet and what waited in journals is delivered."""
    ledger, stack = await opened(sink)
    async with stack:
        found = await ledger.verify()
        entries = await ledger.entries(newest_first=False)
    intents = {one.action_id for one in entries if one.kind == Kind.INTENT}
    done = [UUID(line) for line in effects.read_text().splitlines()]
    places = Counter((one.writer, bytes(one.prev)) for one in entries)
    return counts._replace(
        rows=len(entries),
        intents=len(intents),
        effects=len(done),
        alarms=[*counts.alarms, *map(str, found.faults)],
        unintended=sum(one not in intents for one in done),
        forks=sum(times > 1 for times in places.values()),
    )


async def opened(sink: Sink) -> tuple[Ledger, contextlib.AsyncExitStack]:
    """As soon as its server answers."""
    until = time.monotonic() + PATIENCE
    while True:
        stack = contextlib.AsyncExitStack()
        try:
            return await stack.enter_async_context(sink.open()), stack
        except AuditUnavailable:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)


# ---- a writer -----------------------------------------------------------------------------------------


async def write(url: str, journal: str, effects: str, password: str) -> None:
    secret = Secret(password) if password else None
    place = os.open(effects, os.O_WRONLY | os.O_APPEND)
    while True:
        with contextlib.suppress(DbdeckError):
            async with open_ledger(url, Path(journal), password=secret) as ledger:
                await act(ledger, place)
        await asyncio.sleep(0.2)


async def act(ledger: Ledger, place: int) -> None:
    """Until the ledger refuses for longer than a restart takes; nothing is done without an intent."""
    refused = 0
    while refused < 20:
        action = uuid4()
        try:
            await ledger.append(Kind.INTENT, action, {"x": "y" * 500})
        except AuditUnavailable:
            refused += 1
            await asyncio.sleep(0.2)
            with contextlib.suppress(AuditUnavailable):
                await ledger.flush()
            continue
        os.write(place, f"{action}\n".encode())
        os.fsync(place)
        await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})
        refused = 0
        await asyncio.sleep(0.01)


# ---- by hand ------------------------------------------------------------------------------------------


async def by_hand(name: str, minutes: float, writers: int, seed: int) -> Soaked:
    from tests.servers import accounts
    from tests.servers.fleet import Fleet

    accounts.publish()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as text, contextlib.closing(Fleet()) as fleet:
        folder = Path(text)
        sink, restart = await made(name, fleet, folder)
        return await soak(sink, folder, seconds=minutes * 60, writers=writers, seed=seed, restart=restart)


async def made(name: str, fleet: object, folder: Path) -> tuple[Sink, Callable[[], Awaitable[None]] | None]:
    from tests.servers.fleet import Fleet
    from tests.servers.mysql import MysqlServer

    assert isinstance(fleet, Fleet)
    if name == "sqlite":
        return SqliteSink(folder / "audit.db", folder / "journal"), None
    server = fleet.get(name)
    database = f"ledger_{uuid4().hex[:12]}"
    if isinstance(server, MysqlServer):
        sink: PostgresSink | MysqlSink = MysqlSink(server, database, folder / "journal")
    else:
        sink = PostgresSink(server, await server.new_database(), folder / "journal")
    await sink.install()
    return sink, restarter(server)


def restarter(server: object) -> Callable[[], Awaitable[None]]:
    from tests.servers.mysql import MysqlServer
    from tests.servers.postgres import PostgresServer

    assert isinstance(server, MysqlServer | PostgresServer)
    dice = random.Random(7)

    async def restart() -> None:
        if dice.random() < 0.5:
            await asyncio.to_thread(server.restart, "fast")
        else:
            await asyncio.to_thread(server.restart, "immediate")

    return restart


def main() -> int:
    if sys.argv[1:2] == ["--write"]:
        url, journal, effects = sys.argv[2:5]
        asyncio.run(write(url, journal, effects, sys.stdin.readline().strip()))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sink", help="sqlite, pg15, pg17, pg18, mysql or mariadb")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    found = asyncio.run(by_hand(given.sink, given.minutes, given.writers, given.seed))
    sys.stdout.write(f"{given.sink}, seed {given.seed}: {found}\n")
    return 0 if found.true else 1


if __name__ == "__main__":
    sys.exit(main())
