"""What a drill's restore costs beside the bare tools: `python bench/drill.py [--scale 20] [--jobs 2]`.

A pgbench database on an embedded PostgreSQL. In turn, a few rounds each: `pg_restore -j` of a directory dump
into a running server with default settings beside the restore phase of `backup.drill`, which follows the one
that makes the empty server; and `cp -a` of a base backup beside the restore phase of a drill of it. The time
that verifying takes is told apart. Prints medians and their ratio, and writes JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from console.dispatch.scratch import ScratchServer, scratch_postgres

DATABASE = "bench"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def tool(server: ScratchServer, name: str, *words: str) -> list[str]:
    where = ["-h", str(server.socket_dir), "-p", str(server.port), "-U", server.superuser]
    return [str(server.binaries / name), *where, *words]


def run(argv: list[str], *, account: ScratchServer | None = None) -> float:
    """Seconds; output only where it fails."""
    start = time.perf_counter()
    options = account.account.of_children() if account else {}
    subprocess.run(argv, check=True, capture_output=True, env=ENVIRONMENT, **options)
    return time.perf_counter() - start


def bare_restore(server: ScratchServer, dump: Path, jobs: int) -> float:
    run(tool(server, "psql", "-qc", "drop database if exists again", "postgres"))
    run(tool(server, "psql", "-qc", "create database again", "postgres"))
    seconds = run(tool(server, "pg_restore", "-d", "again", "-j", str(jobs), str(dump)))
    run(tool(server, "psql", "-qc", "drop database again", "postgres"))
    return seconds


def bare_copy(base: Path, to: Path) -> float:
    shutil.rmtree(to, ignore_errors=True)
    seconds = run(["cp", "-a", str(base), str(to)])
    shutil.rmtree(to)
    return seconds


def drill(config: Path, source: str) -> dict[str, float]:
    """Seconds of each phase."""
    argv = [sys.executable, "-m", "console", "--config", str(config), "apply", "backup.drill", "-t", "bench"]
    argv += [f"source={source}", "--yes", "--reason", "bench", "--json"]
    done = subprocess.run(argv, check=False, capture_output=True, env=ENVIRONMENT)
    document = json.loads(done.stdout)
    if document["exit"] != 0:
        raise SystemExit(f"the drill of {source} ended with {document['exit']}: {document['error']}")
    found: dict[str, float] = document["verify"]["evidence"]["drills"][0]["phases"]
    return found


def config_of(server: ScratchServer, folder: Path, jobs: int) -> Path:
    login = {"user": server.superuser}
    values: dict[str, Any] = {
        "audit": {"url": f"sqlite:///{folder}/audit.db", "journal": str(folder / "journal")},
        "targets": {
            "bench": {
                "engine": "postgres", "host": str(server.socket_dir), "port": server.port,
                "database": DATABASE, "environment": "dev", "tls": "off", "monitor": {**login},
                "operator": {**login},
            }
        },
        "drills": {
            "scratch": tempfile.gettempdir(),
            "reports": str(folder / "reports"),
            "targets": {
                "bench": {
                    "binaries": str(server.binaries),
                    "sources": {
                        "dump": {"method": "pg_dump", "path": str(folder / "dumps"), "jobs": jobs},
                        "base": {"method": "pg_basebackup", "path": str(folder / "bases")},
                    },
                }
            },
        },
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def prepare(server: ScratchServer, folder: Path, scale: int, jobs: int) -> tuple[Path, Path]:
    run(tool(server, "psql", "-qc", f"create database {DATABASE}", "postgres"))
    run(tool(server, "pgbench", "-q", "-i", "-s", str(scale), DATABASE))
    (folder / "dumps").mkdir()
    (folder / "bases").mkdir()
    dump, base = folder / "dumps" / "bench", folder / "bases" / "base"
    run(tool(server, "pg_dump", "-Fd", "-j", str(jobs), "-f", str(dump), DATABASE))
    run(tool(server, "pg_dumpall", "--globals-only", "-f", str(dump / "globals.sql")))
    run(tool(server, "pg_basebackup", "-D", str(base), "-c", "fast", "-X", "stream"))
    return dump, base


async def measure(scale: int, jobs: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="dbdeck-bench-") as made:
        folder = Path(made)
        async with scratch_postgres() as server:
            dump, base = prepare(server, folder, scale, jobs)
            config = config_of(server, folder, jobs)
            found: dict[str, list[float]] = {
                "pg_restore": [],
                "drill": [],
                "cp": [],
                "physical": [],
                "verify": [],
            }
            for _ in range(rounds):
                found["pg_restore"].append(bare_restore(server, dump, jobs))
                phases = drill(config, "dump")
                found["drill"].append(phases["restore"])
                found["verify"].append(phases["verify"])
                found["cp"].append(bare_copy(base, folder / "copy"))
                phases = drill(config, "base")
                found["physical"].append(phases["restore"])
    medians = {name: round(statistics.median(values), 2) for name, values in found.items()}
    return {
        "scale": scale, "jobs": jobs, "rounds": rounds, "seconds": medians,
        "logical": round(medians["pg_restore"] / medians["drill"], 2),
        "physical": round(medians["cp"] / medians["physical"], 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = asyncio.run(measure(given.scale, given.jobs, given.rounds))
    for name, seconds in found["seconds"].items():
        print(f"{name:<12} {seconds:8.2f} s")
    print(
        f"the drill restores at {found['logical']:.0%} of pg_restore's speed, {found['physical']:.0%} of cp's"
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
