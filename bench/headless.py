"""What the command costs beside a script: `python -m bench.headless [--rounds 15]`.

`--help` and `--version`: time and what they import. `apply session.terminate` with a ledger beside a bare
driver script with the same effect and one durable audit INSERT, in turn; and where it goes, by part.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from bench import report
from bench.pane import Server, server
from bench.peers import ROOT, Place, config
from bench.workload import SUPERUSER

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
HEAVY = ("textual", "asyncpg", "aiomysql", "pymysql", "keyring", "importlib.metadata")
DBDECK_COMMAND = str(Path(sys.executable).with_name("dbdeck"))
BARE = """
import asyncio, asyncpg, json, sqlite3, sys
async def main(port, pid, ledger):
    connection = await asyncpg.connect(host="127.0.0.1", port=port, user="bench_operator",
        database="postgres")
    kept = sqlite3.connect(ledger, isolation_level=None)
    kept.execute("pragma journal_mode=wal")
    kept.execute("pragma synchronous=full")
    kept.execute("create table if not exists audit (at text, body text)")
    body = json.dumps({"action": "terminate", "pid": pid})
    kept.execute("insert into audit values (datetime('now'), ?)", (body,))
    print(await connection.fetchval("select pg_terminate_backend($1)", pid))
    await connection.close()
asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
"""
# The command with a clock around its parts; what is left of the whole is config, policy, output and the end.
PARTS = """
import atexit, json, sys, time
start = time.perf_counter()
spent = {{}}
def around(owner, name, label):
    inner = getattr(owner, name)
    async def timed(*args, **options):
        began = time.perf_counter()
        try:
            return await inner(*args, **options)
        finally:
            spent[label] = spent.get(label, 0.0) + (time.perf_counter() - began) * 1000
    setattr(owner, name, timed)
from console.__main__ import main
import actions, asyncpg, console.cli.act
import console.audit.table.sqlite, console.engine.postgres.engine
from actions.sessions import TerminateSession
from console.audit.ledger import Ledger
from console.dispatch.dispatcher import Dispatcher
spent["imports"] = (time.perf_counter() - start) * 1000
around(asyncpg, "connect", "connect")
around(Dispatcher, "plan", "plan")
around(Ledger, "append", "append (in plan and apply)")
around(TerminateSession, "apply", "effect (with its append)")
around(TerminateSession, "verify", "verify")
def report():
    spent["whole"] = (time.perf_counter() - start) * 1000
    with open({report!r}, "w") as out:
        json.dump(spent, out)
atexit.register(report)
sys.argv = ["dbdeck", *{words!r}]
sys.exit(main())
"""


def timed(argv: Sequence[str]) -> float:
    """Milliseconds from exec to exit."""
    start = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=ENVIRONMENT, cwd=ROOT)
    took = (time.perf_counter() - start) * 1000
    if done.returncode:
        raise SystemExit(
            f"{argv[:4]} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}"
        )
    return took


def imported(word: str) -> list[str]:
    """Which of the heavy modules a short command loads."""
    code = (
        f"import sys; sys.argv = ['dbdeck', {word!r}]\nfrom console.__main__ import main\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    return sorted(set(HEAVY) & set(done.stderr.split()))


def short(rounds: int) -> dict[str, Any]:
    nothing = [sys.executable, "-c", "pass"]
    times: dict[str, list[float]] = {"--help": [], "--version": [], "python -c pass": []}
    for _ in range(rounds):
        for name, spent in times.items():
            spent.append(timed(nothing if name == "python -c pass" else [DBDECK_COMMAND, name]))
    return {
        **{f"{name}_ms": statistics.median(spent) for name, spent in times.items()},
        "loads": {word: imported(word) for word in ("--help", "--version")},
    }


async def victim(to: Server) -> tuple[Any, int, str]:
    """A session to end, its pid, and its start as the command wants it."""
    session = await asyncpg.connect(host=to.host, port=to.port, user=SUPERUSER, database="postgres")
    pid = session.get_server_pid()
    began = await to.admin.fetchval("select backend_start from pg_stat_activity where pid = $1", pid)
    return session, pid, began.isoformat()


async def applied(to: Server, folder: Path, rounds: int) -> dict[str, Any]:
    place = Place(host=to.host, port=to.port, user=await to.role("operator"), folder=folder)
    await to.admin.execute(f"alter role {place.user} superuser")  # so that it may end any session
    words = ["-c", str(config(place)), "apply", "session.terminate", "-t", "bench", "--yes"]
    words += ["--reason", "bench", "--watch", "0"]
    script = [sys.executable, "-c", BARE, str(to.port)]
    bare, ours, parts = [], [], []

    async def once(argv: Callable[[int, str], list[str]]) -> float:
        session, pid, began = await victim(to)
        try:
            return await asyncio.to_thread(timed, argv(pid, began))
        finally:
            session.terminate()

    def given(pid: int, began: str) -> list[str]:
        return [*words, f"id={pid}", f"started_at={began}"]

    def with_parts(pid: int, began: str) -> list[str]:
        return [sys.executable, "-c", PARTS.format(report=f"{folder}/parts.json", words=given(pid, began))]

    for _ in range(rounds):
        bare.append(await once(lambda pid, _: [*script, str(pid), f"{folder}/bare.db"]))
        ours.append(await once(lambda pid, began: [DBDECK_COMMAND, *given(pid, began)]))
        await once(with_parts)
        parts.append(json.loads((folder / "parts.json").read_text()))
    names = parts[0]
    return {
        "bare_ms": statistics.median(bare),
        "apply_ms": statistics.median(ours),
        "more_ms": statistics.median(ours) - statistics.median(bare),
        **{f"part: {name}": statistics.median(one.get(name, 0.0) for one in parts) for name in names},
    }


async def measure(rounds: int) -> dict[str, Any]:
    found = {"short": await asyncio.to_thread(short, rounds)}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        async with server(fsync="on") as to:
            found["apply"] = await applied(to, Path(name), rounds)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = asyncio.run(measure(given.rounds))
    for group in figures.values():
        print(report.table(["", "ms"], [[name, report.figure(value)] for name, value in group.items()]))
    report.write(given.json, figures)
