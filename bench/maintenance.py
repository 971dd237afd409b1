"""`dbdeck apply table.vacuum|analyze` beside `vacuumdb -j N`: `python bench/maintenance.py [--tables 1000]`.

One embedded PostgreSQL with durable commits; both programs in turn, a few rounds each, over the same
tables, whose rows change before every run. dbdeck's ledger is on: each table is recorded before it is
worked on. Prints medians and their ratio, and writes JSON with --json FILE.
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
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from console.dispatch.scratch import ScratchServer, scratch_postgres

DATABASE = "bench"
# As an installed program runs: with its modules compiled.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


async def prepare(server: ScratchServer, tables: int, rows: int) -> None:
    admin = await connect(server, "postgres")
    await admin.execute(f"create database {DATABASE}")
    await admin.close()
    shop = await connect(server, DATABASE)
    for n in range(tables):
        await shop.execute(
            f"create table t{n:04} (id int primary key, n int, note text) with (autovacuum_enabled = off);"
            f"insert into t{n:04} select g, g, repeat('x', 60) from generate_series(1, {rows}) g"
        )
    await shop.execute("checkpoint")
    await shop.close()


async def connect(server: ScratchServer, database: str) -> Any:
    return await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=server.superuser, database=database
    )


async def touch(server: ScratchServer, tables: int) -> None:
    """Every table gets dead rows again, so that each run has the same to do."""
    shop = await connect(server, DATABASE)
    for n in range(tables):
        await shop.execute(f"update t{n:04} set n = n + 1 where id % 4 = 0")
    await shop.execute("checkpoint")
    await shop.close()


def config_for(server: ScratchServer, folder: Path) -> Path:
    login = {"user": server.superuser}
    target = {
        "engine": "postgres", "host": str(server.socket_dir), "port": server.port, "database": DATABASE,
        "environment": "dev", "tls": "off", "monitor": dict(login), "operator": dict(login),
    }  # fmt: skip
    audit = {"url": f"sqlite:///{folder}/audit.db", "journal": str(folder / "journal")}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"audit": audit, "targets": {"bench": target}}))
    return path


def vacuumdb(server: ScratchServer, action: str, jobs: int) -> list[str]:
    only = ["--analyze-only"] if action == "table.analyze" else []
    where = ["-h", str(server.socket_dir), "-p", str(server.port), "-U", server.superuser]
    return [str(server.binaries / "vacuumdb"), *where, *only, "-q", "-j", str(jobs), "-n", "public", DATABASE]


def dbdeck(config: Path, action: str, jobs: int) -> list[str]:
    words = ["apply", action, "-t", "bench", "all=true", f"jobs={jobs}", "--yes", "--reason", "bench"]
    return [sys.executable, "-m", "console", "-c", str(config), *words]


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stdout[-500:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


async def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    async with scratch_postgres(settings={"max_connections": "100", "autovacuum": "off"}) as server:
        await prepare(server, arguments.tables, arguments.rows)
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            config = config_for(server, Path(folder))
            for action in ("table.vacuum", "table.analyze"):
                times: dict[str, list[float]] = {"vacuumdb": [], "dbdeck": []}
                commands = {
                    "vacuumdb": vacuumdb(server, action, arguments.jobs),
                    "dbdeck": dbdeck(config, action, arguments.jobs),
                }
                for _ in range(arguments.rounds):
                    for name, command in commands.items():
                        await touch(server, arguments.tables)
                        times[name].append(await asyncio.to_thread(timed, command))
                found.append(row(action, arguments, times))
    return found


def row(action: str, arguments: argparse.Namespace, times: dict[str, list[float]]) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "action": action, "tables": arguments.tables, "jobs": arguments.jobs, "rounds": arguments.rounds,
        **{f"{name}_seconds": round(value, 3) for name, value in medians.items()},
        "ratio": round(medians["dbdeck"] / medians["vacuumdb"], 3),
        "all": {name: [round(value, 3) for value in values] for name, values in times.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    found = asyncio.run(run(arguments))
    for one in found:
        print(
            f"{one['action']:14} {one['tables']} tables, {one['jobs']} jobs: "
            f"vacuumdb {one['vacuumdb_seconds']:.2f} s, dbdeck {one['dbdeck_seconds']:.2f} s, "
            f"ratio {one['ratio']:.2f}"
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
