"""What the programs do when the server is in trouble: `python -m bench.trouble [--only A,B]`.

The server hangs for 25 s (its postmaster and the program's backends are stopped): keys answered, how soon it
is said, whether q leaves. The connection is cut for 8 s; all slots are taken at the start: how soon rows are
back.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from bench import report
from bench.pane import REMOTE, Bench, Press, Server, measured, server
from bench.peers import DBDECK, DOWN, UP, Tool, tools
from bench.terminal import Screen, Terminal
from bench.workload import workload
from tests.servers.proxy import tcp_proxy

_SAYS = r"NO ANSWER|FAILING|connection .*lost|reconnect|too many|FATAL"
_PRESSES = 10
_ANSWER_SECONDS = 1.0


async def hang(bench: Bench, tool: Tool) -> dict[str, Any]:
    """`told_s` counts from the stop: the refresh that is missed first comes up to 2 s after it."""
    async with tcp_proxy(bench.server.host, bench.server.port, REMOTE) as proxy:
        place = await bench.place(tool, proxy)
        with Terminal(tool.command(place)) as terminal:
            await asyncio.to_thread(terminal.run, 8)
            async with _stopped(bench.server, place.user):
                began = terminal.now
                presses = [await _press(terminal, DOWN if n % 2 == 0 else UP) for n in range(_PRESSES)]
                told = _first(terminal, _SAYS, began)
                await asyncio.to_thread(terminal.run, max(0.0, began + 25 - terminal.now))
                left = await asyncio.to_thread(_quit, terminal)
    moved = measured(terminal.chunks, presses) if tool.arrows else None
    answered = None if moved is None else sum(1 for one in moved.seconds if one <= _ANSWER_SECONDS)
    return {"hung_answered_of_10": answered, "hung_told_s": told, "hung_quit_s": left}


async def _press(terminal: Terminal, key: str) -> Press:
    made = Press(terminal.now, key, "")
    terminal.press(key)
    await asyncio.to_thread(terminal.run, 2.0)
    return made


def _first(terminal: Terminal, pattern: str, since: float) -> float | None:
    """Seconds from a moment until the screen first showed it."""
    screen, wanted = Screen(), re.compile(pattern, re.IGNORECASE)
    for chunk in terminal.chunks:
        screen.feed(chunk.data)
        if chunk.at > since and wanted.search(screen.text):
            return chunk.at - since
    return None


def _quit(terminal: Terminal) -> float | None:
    """Seconds from q to the end; None when it still runs 5 s later."""
    start = time.monotonic()
    terminal.press("q")
    while time.monotonic() - start < 5:
        if not terminal.run(0.05) and terminal.process.poll() is not None:
            return time.monotonic() - start
    return None


@asynccontextmanager
async def _stopped(to: Server, role: str) -> AsyncIterator[None]:
    pids = [*await to.pids(role), *filter(None, [to.scratch.pid])]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def cut(bench: Bench, tool: Tool) -> dict[str, Any]:
    """Reset and refused for 8 s. Rows kept are what was there before; back is a round trip after them."""
    async with tcp_proxy(bench.server.host, bench.server.port, REMOTE) as proxy:
        place = await bench.place(tool, proxy)
        with Terminal(tool.command(place)) as terminal:
            await asyncio.to_thread(terminal.run, 8)
            proxy.drop()
            lives = await asyncio.to_thread(terminal.run, 8)
            screen = Screen()
            for chunk in terminal.chunks:
                screen.feed(chunk.data)
            kept = lives and _rows(screen.text)
            await proxy.listen()
            back = await _received(terminal, proxy.received, proxy) if lives else None
    return {"cut_lives": lives, "cut_rows_kept": kept, "cut_back_s": back}


def _rows(text: str) -> bool:
    return sum("UPDATE" in line or "idle" in line for line in text.splitlines()) > 5


async def _received(terminal: Terminal, before: int, proxy: Any) -> float | None:
    """Seconds until more came than a login: a refresh."""
    start = time.monotonic()
    while time.monotonic() - start < 20:
        if not await asyncio.to_thread(terminal.run, 0.1):
            return None
        if proxy.received - before > 10_000:
            return time.monotonic() - start
    return None


async def exhausted(folder: Path, tool: Tool) -> dict[str, Any]:
    """A server of 20 slots, all taken when the program starts, and freed 6 s later."""
    async with server(max_connections="20", superuser_reserved_connections="1") as small:
        bench = Bench(small, folder)
        async with tcp_proxy(small.host, small.port, REMOTE) as proxy:
            place = await bench.place(tool, proxy)
            held = await _take(small, place.user)
            with Terminal(tool.command(place)) as terminal:
                lives = await asyncio.to_thread(terminal.run, 6)
                for one in held:
                    await one.close()
                before = terminal.now
                seen = await asyncio.to_thread(terminal.run, 8) if lives else False
            first = _first(terminal, r"live|^ *PID|no session|nobody waits", before) if seen else None
            told = _first(terminal, _SAYS + "|slots", 0.0)
    return {"full_lives": lives, "full_told_s": told, "full_back_s": first}


async def _take(to: Server, role: str) -> list[Any]:
    held = []
    with suppress(asyncpg.PostgresError):
        while True:
            held.append(
                await asyncpg.connect(host=to.host, port=to.port, user=role, database="postgres", timeout=5)
            )
    return held


async def measure(only: str = "") -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        bench = Bench(await held.enter_async_context(server()), folder)
        await held.enter_async_context(workload(bench.server.host, bench.server.port))
        for tool in tools(only):
            found[tool.name] = {**await hang(bench, tool), **await cut(bench, tool)}
    for tool in tools(only):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            found[tool.name] |= await exhausted(Path(name), tool)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = asyncio.run(measure(given.only))
    print(report.beside(figures, DBDECK.name))
    report.write(given.json, figures)
