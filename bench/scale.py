"""How the cost grows: `python -m bench.scale [--small]`.

A queue of 600 on one row; 50 targets polled at once; the lock tree of 5,000 sessions (made-up claims: few
machines hold so many backends); a ledger of `--ledger` rows; 100,000 tables in Maintenance.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench import report
from bench.pane import Server, server
from bench.peers import Place, config
from bench.terminal import cpu_of
from bench.workload import workload
from console.audit.checkpoint import new_key
from console.audit.ledger import open_ledger
from console.audit.record import Kind
from console.config import load
from console.engine.open import open_engine
from console.errors import DbdeckError
from console.model.blocking import blocking_forest
from console.model.locks import Claim, wait_graph
from console.model.sessions import Session, State
from console.model.tables import TableQuery
from console.poll import Feed
from console.present import locks

Figures = dict[str, Any]
_REFRESH = 2.0
LEDGER = 100_000  # a million take a quarter of an hour to be written durably


async def locks_cost(to: Server, folder: Path, rounds: int = 15) -> tuple[float, float]:
    """(ms of our backend, ms of ours) a read of the lock tree, medians once names are known."""
    place = Place(host=to.host, port=to.port, user=await to.role("scale"), folder=folder)
    target = load(config(place)).target("bench")
    servers, ours = [], []
    async with open_engine(target) as engine:
        await engine.locks()
        await engine.locks()
        (pid,) = await to.pids(place.user)
        for _ in range(rounds):
            there, here = cpu_of(pid), time.process_time()
            await engine.locks()
            ours.append((time.process_time() - here) * 1000)
            servers.append((cpu_of(pid) - there) * 1000)
    return statistics.median(servers), statistics.median(ours)


async def hot_queue(length: int) -> Figures:
    async with server() as to, workload(to.host, to.port, hot=length):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            there, here = await locks_cost(to, Path(name))
    return {"waiting": float(length), "server_ms": there, "client_ms": here}


async def targets(number: int, seconds: float = 20.0) -> Figures:
    """One process that polls the locks of so many targets every 2 s; each has connections of its own."""
    async with AsyncExitStack() as held:
        to = await held.enter_async_context(server())
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        place = Place(host=to.host, port=to.port, user=await to.role("scale"), folder=folder)
        found = load(config(place, number)).all_targets()
        engines = [await held.enter_async_context(open_engine(one)) for one in found]
        feeds = [Feed(one.locks, every=_REFRESH) for one in engines]
        await asyncio.gather(*(feed.poll() for feed in feeds))
        end, began, polls = time.monotonic() + seconds, time.process_time(), 0

        async def follow(feed: Feed[Any]) -> None:
            nonlocal polls
            while time.monotonic() < end:
                await asyncio.sleep(feed.delay)
                await feed.poll()
                polls += 1

        await asyncio.gather(*(follow(feed) for feed in feeds))
        used = time.process_time() - began
        # A feed keeps its failures to itself, and a poll that failed costs next to nothing.
        for feed in feeds:
            if feed.reading.problem is not None or feed.reading.data is None:
                raise SystemExit(f"a poll failed: {feed.reading.problem}")
    return {
        "targets": float(number),
        "polls": float(polls),
        "ms_a_poll": used / max(1, polls) * 1000,
        "core_percent": used / seconds * 100,
    }


async def sessions(number: int) -> Figures:
    """Graph, tree and lines of a made-up server on which two in five wait, in queues of 50."""
    now = datetime.now(UTC)
    known = {
        n: Session(id=n, started_at=now, query="select 1", state=State.ACTIVE) for n in range(1, number + 1)
    }
    claims = []
    for first in range(1, number * 2 // 5, 50):
        place = (first,)
        claims.append(Claim(session=first, object=place, mode="ExclusiveLock", granted=True))
        claims += [
            Claim(session=n, object=place, mode="ExclusiveLock", granted=False, since=float(n))
            for n in range(first + 1, first + 50)
        ]
    conflicts = {"ExclusiveLock": frozenset({"ExclusiveLock"})}
    spent = []
    for _ in range(5):
        start = time.process_time()
        tree = blocking_forest(wait_graph(claims, conflicts), known, {})
        locks.lines(tree)
        spent.append((time.process_time() - start) * 1000)
    return {"sessions": float(number), "waiting": float(len(claims)), "client_ms": min(spent)}


async def ledger(rows: int) -> Figures:
    """A real chain: the newest page, a page by its text, verified whole, and again since a checkpoint."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        async with open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as kept:
            start = time.perf_counter()
            for _ in range(rows // 2):
                action = uuid4()
                await kept.append(Kind.INTENT, action, {"action": "session.terminate", "target": "bench"})
                await kept.append(Kind.OUTCOME, action, {"status": "applied"})
            written = time.perf_counter() - start
            start = time.perf_counter()
            await kept.entries(limit=500)
            browsed = time.perf_counter() - start
            start = time.perf_counter()
            await kept.entries(limit=500, containing=str(action))
            filtered = time.perf_counter() - start
            private, public = new_key()
            before, start = _resident(), time.perf_counter()
            await kept.checkpoint(private)
            verified, grown = time.perf_counter() - start, _resident() - before
            start = time.perf_counter()
            again = await kept.verify(since=await kept.base((public,)))
            incremental = time.perf_counter() - start
    if not again.ok:
        raise SystemExit("the ledger has faults")
    return {
        "rows": float(rows), "write_s": written, "newest_500_ms": browsed * 1000,
        "filtered_ms": filtered * 1000, "verify_s": verified, "verify_since_ms": incremental * 1000,
        "grown_mb": grown / 1e6,
    }  # fmt: skip


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def tables(number: int, rounds: int = 3) -> Figures:
    """A page of Maintenance, in the server's order, out of so many tables."""
    settings = {"max_locks_per_transaction": "1024", "max_connections": "60"}
    async with server(**settings) as to:
        for first in range(0, number, 2000):
            made = ";".join(f"create table t{n:06} (id int)" for n in range(first, min(first + 2000, number)))
            await to.admin.execute(made)
        await to.admin.execute("analyze")  # as autovacuum would have come to the catalogs
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            place = Place(host=to.host, port=to.port, user=await to.role("scale"), folder=Path(name))
            target = load(config(place)).target("bench")
            took, ours, there = [], [], []
            async with open_engine(target) as engine:
                await engine.tables(TableQuery())
                (pid,) = await to.pids(place.user)
                for _ in range(rounds):
                    start, here, backend = time.perf_counter(), time.process_time(), cpu_of(pid)
                    found = await engine.tables(TableQuery())
                    took.append((time.perf_counter() - start) * 1000)
                    ours.append((time.process_time() - here) * 1000)
                    there.append((cpu_of(pid) - backend) * 1000)
    return {
        "tables": float(number), "rows_read": float(len(found.tables)), "wall_ms": statistics.median(took),
        "client_ms": statistics.median(ours), "server_ms": statistics.median(there),
    }  # fmt: skip


def groups(small: bool, rows: int) -> dict[str, list[Callable[[], Awaitable[Figures]]]]:
    """Each at three sizes, so that one sees how it grows; `small` leaves out the last."""
    sizes: dict[str, tuple[Callable[[int], Awaitable[Figures]], tuple[int, ...]]] = {
        "hot_queue": (hot_queue, (100, 300, 600)),
        "targets": (targets, (1, 10, 50)),
        "sessions": (sessions, (500, 2_000, 5_000)),
        "ledger": (ledger, (rows // 100, rows // 10, rows)),
        "tables": (tables, (1_000, 10_000, 100_000)),
    }
    return {
        name: [partial(figures, size) for size in some[: 2 if small else 3]]
        for name, (figures, some) in sizes.items()
    }


async def measure(small: bool, rows: int, only: str = "") -> dict[str, list[Figures]]:
    """A size that dbdeck refuses is told with its reason, and the others are measured. Prints as it goes."""
    found: dict[str, list[Figures]] = {}
    for name, sizes in groups(small, rows).items():
        if only and name not in only.split(","):
            continue
        found[name] = []
        for figures in sizes:
            try:
                found[name].append(await figures())
            except DbdeckError as error:
                found[name].append({"failed": error.message})
        print(f"{name}\n{shown(found[name])}\n", flush=True)
    return found


def shown(rows: list[Figures]) -> str:
    titles = list(rows[0])
    return report.table(
        titles, [[report.figure(row.get(title, row.get("failed"))) for title in titles] for row in rows]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="without the last size of each")
    parser.add_argument("--ledger", type=int, default=LEDGER, help="rows of the largest ledger")
    parser.add_argument(
        "--only", default="", help="hot_queue, targets, sessions, ledger, tables; with commas"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    report.write(given.json, asyncio.run(measure(given.small, given.ledger, given.only)))
