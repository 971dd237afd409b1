"""The console beside its peers on a busy server, in turn: `python -m bench.pane [--rounds 3] [--only A,B]`.

Each round runs every program once under a terminal of 160x50: exec to the first frame and to rows on the
screen, then a time of refreshes (CPU, bytes, its backends' CPU, round trips), then arrow keys, then views, at
random moments of the refresh. The machine's drift hits all alike: quote ratios of medians, not times.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from bench import report
from bench.peers import DBDECK, DOWN, UP, Place, Tool, absent, tools
from bench.terminal import Chunk, Screen, Terminal, cpu_of, first_shown
from bench.workload import SUPERUSER, workload
from console.dispatch.scratch import ScratchServer, scratch_postgres
from tests.servers.proxy import Proxy, tcp_proxy

SETTINGS = {
    "max_connections": "700", "fsync": "off", "autovacuum": "off", "jit": "off", "shared_buffers": "128MB",
    "track_activity_query_size": "4096",
}  # fmt: skip
HBA = ("local all all trust", "host all all 127.0.0.0/8 trust")
REFRESH = 2.0
REMOTE = "127.0.0.2"  # so that no program takes the server for its own machine's
_WINDOW = 3.5  # seconds from exec until it has long shown rows


class Server:
    """A server, and the figures that only it knows."""

    def __init__(self, scratch: ScratchServer, admin: Any) -> None:
        self.scratch = scratch
        self.admin = admin
        self.host, self.port = "127.0.0.1", scratch.port

    async def role(self, name: str) -> str:
        role = f"bench_{name}"
        if not await self.admin.fetchval("select 1 from pg_roles where rolname = $1", role):
            await self.admin.execute(f"create role {role} login in role pg_monitor, pg_signal_backend")
        return role

    async def pids(self, role: str) -> list[int]:
        return [
            r[0] for r in await self.admin.fetch("select pid from pg_stat_activity where usename = $1", role)
        ]

    async def cpu(self, role: str) -> float:
        """CPU seconds of the role's backends that live."""
        return sum(cpu_of(pid) for pid in await self.pids(role))


@asynccontextmanager
async def server(**settings: str) -> AsyncIterator[Server]:
    async with scratch_postgres(settings=SETTINGS | settings, hba=HBA, listen="127.0.0.1") as scratch:
        admin = await asyncpg.connect(
            host=str(scratch.socket_dir), port=scratch.port, user=SUPERUSER, database="postgres"
        )
        try:
            yield Server(scratch, admin)
        finally:
            await admin.close()


class Press(NamedTuple):
    at: float
    key: str
    wanted: str  # empty: the highlight is to move


class Measured(NamedTuple):
    """Seconds and bytes until each press showed; `missed` never did."""

    seconds: list[float]
    sizes: list[int]
    missed: int


class Bench:
    """One server and a proxy a tool."""

    def __init__(self, to: Server, folder: Path) -> None:
        self.server = to
        self._folder = folder
        self._dice = random.Random(3)

    async def place(self, tool: Tool, proxy: Proxy) -> Place:
        folder = self._folder / f"{tool.name}-{proxy.port}"
        folder.mkdir(exist_ok=True)
        return Place(host=proxy.host, port=proxy.port, user=await self.server.role(tool.name), folder=folder)

    async def round(self, tool: Tool, seconds: float, arrows: int, views: int) -> dict[str, Any]:
        async with tcp_proxy(self.server.host, self.server.port, REMOTE) as proxy:
            place = await self.place(tool, proxy)
            with Terminal(tool.command(place)) as terminal:
                await asyncio.to_thread(terminal.run, _WINDOW)
                await asyncio.to_thread(terminal.run, 2 * REFRESH)
                steady = await self.steady(terminal, proxy, place.user, seconds)
                moved = (
                    await self.press(terminal, [(DOWN if n % 20 < 10 else UP, "") for n in range(arrows)])
                    if tool.arrows
                    else []
                )
                shown = (
                    await self.press(terminal, [tool.views[n % len(tool.views)] for n in range(views)])
                    if tool.views
                    else []
                )
                rss = terminal.rss
        return {
            **startup(tool, terminal.chunks),
            **steady,
            "rss_mb": rss / 1e6,
            **told("arrow", measured(terminal.chunks, moved)),
            **told("view", measured(terminal.chunks, shown)),
        }

    async def steady(self, terminal: Terminal, proxy: Proxy, role: str, seconds: float) -> dict[str, float]:
        backends, turns = await self.server.cpu(role), proxy.turns
        cpu, at = terminal.cpu, len(terminal.chunks)
        began = terminal.now
        alive = await asyncio.to_thread(terminal.run, seconds)
        if not alive:
            raise SystemExit(f"a program ended while it was measured: {terminal.process.args!r}")
        refreshes = (terminal.now - began) / REFRESH
        used = terminal.cpu - cpu
        written = sum(len(chunk.data) for chunk in terminal.chunks[at:])
        backend = await self.server.cpu(role) - backends
        return {
            "cpu_ms": used * 1000 / refreshes,
            "bytes": written / refreshes,
            "backend_ms": backend * 1000 / refreshes,
            "round_trips": (proxy.turns - turns) / refreshes,
        }

    async def press(self, terminal: Terminal, keys: Sequence[tuple[str, str]]) -> list[Press]:
        """At random moments, so that some fall into a refresh."""
        made = []
        for key, wanted in keys:
            await asyncio.to_thread(terminal.run, self._dice.uniform(0.2, 0.5))
            made.append(Press(terminal.now, key, wanted))
            terminal.press(key)
        await asyncio.to_thread(terminal.run, 1.0)
        return made


def startup(tool: Tool, chunks: Sequence[Chunk]) -> dict[str, float | None]:
    frame, data = first_shown(chunks, tool.frame), first_shown(chunks, tool.first)
    return {
        "frame_ms": frame and frame.at * 1000,
        "data_ms": data and data.at * 1000,
        "start_cpu_ms": data and data.cpu * 1000,
    }


def measured(chunks: Sequence[Chunk], presses: Sequence[Press]) -> Measured:
    """Up to the chunk after which the thing that was asked for had changed, not to any byte."""
    seconds, sizes, missed = [], [], 0
    screen, at = Screen(), 0
    for number, press in enumerate(presses, 1):
        after = presses[number].at if number < len(presses) else float("inf")
        while at < len(chunks) and chunks[at].at <= press.at:
            screen.feed(chunks[at].data)
            at += 1
        before, size, took = screen.highlight, 0, None
        while took is None and at < len(chunks) and chunks[at].at <= after:
            screen.feed(chunks[at].data)
            size += len(chunks[at].data)
            done = (
                re.search(press.wanted, screen.text, re.DOTALL)
                if press.wanted
                else screen.highlight != before
            )
            took = chunks[at].at - press.at if done else None
            at += 1
        if took is None:
            missed += 1
        else:
            seconds.append(took)
            sizes.append(size)
    return Measured(seconds, sizes, missed)


def told(what: str, of: Measured) -> dict[str, Any]:
    return {f"{what}_s": of.seconds, f"{what}_bytes": of.sizes, f"{what}_missed": of.missed}


def summed(rounds: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Medians over the rounds; of key presses the percentiles of all."""
    found: dict[str, float | None] = {}
    for name in (
        "frame_ms",
        "data_ms",
        "start_cpu_ms",
        "cpu_ms",
        "bytes",
        "backend_ms",
        "round_trips",
        "rss_mb",
    ):
        values = [one[name] for one in rounds if one[name] is not None]
        found[name] = statistics.median(values) if values else None
    for what in ("arrow", "view"):
        seconds = sorted(s for one in rounds for s in one[f"{what}_s"])
        sizes = [s for one in rounds for s in one[f"{what}_bytes"]]
        found[f"{what}_p50_ms"] = report.percentile(seconds, 50, 1000)
        found[f"{what}_p95_ms"] = report.percentile(seconds, 95, 1000)
        found[f"{what}_bytes"] = statistics.median(sizes) if sizes else None
        found[f"{what}_missed"] = float(sum(one[f"{what}_missed"] for one in rounds))
    return found


async def idle(bench: Bench, tool: Tool) -> dict[str, float]:
    """Bytes in 10 s on a server where nothing happens, once the first minute's looks are over."""
    async with tcp_proxy(bench.server.host, bench.server.port, REMOTE) as proxy:
        place = await bench.place(tool, proxy)
        with Terminal(tool.command(place)) as terminal:
            await asyncio.to_thread(terminal.run, 16)
            written = terminal.written
            await asyncio.to_thread(terminal.run, 10)
            return {"idle_bytes": float(terminal.written - written)}


async def measure(rounds: int, seconds: float, only: str = "") -> dict[str, Any]:
    wanted = tools(only)
    found: dict[str, list[dict[str, Any]]] = {tool.name: [] for tool in wanted}
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        bench = Bench(await held.enter_async_context(server()), folder)
        still = {tool.name: await idle(bench, tool) for tool in wanted}
        await held.enter_async_context(workload(bench.server.host, bench.server.port))
        for _ in range(rounds):
            for tool in wanted:
                found[tool.name].append(await bench.round(tool, seconds, 40, 20))
    return {name: still[name] | summed(one) for name, one in found.items()}


def shown(figures: dict[str, Any]) -> str:
    return report.beside(figures, DBDECK.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = asyncio.run(measure(given.rounds, given.seconds, given.only))
    print(shown(figures))
    print(f"not installed: {', '.join(absent()) or 'none'}")
    report.write(given.json, figures)
