"""What the ledger costs: `python bench/ledger.py [--rows 1000] [--read 20000] [--json FILE]`.

An intent (journal and table, both durable) beside a bare single-row durable INSERT on the same server, in
turn; and how many rows a second `verify` reads, from memory and from each store, with the journal of the
writer beside it. PostgreSQL is an embedded
one with fsync on; MariaDB and MySQL are those of the tests, made durable, where they are installed. Prints
medians, the median ratio of the pairs, and rates, each the best of some looks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from console.__main__ import COLLECT_AFTER
from console.audit.ledger import Ledger, install, open_ledger
from console.audit.record import Kind
from console.audit.verify import verify
from console.dispatch.scratch import ScratchServer, scratch_postgres
from tests.servers import accounts, places
from tests.servers.mysql import Flavor, MysqlServer

BODY = {
    "action": "session.terminate",
    "target": "orders-prod",
    "reason": "checkout hangs",
    "plan": {"statements": ["select pg_terminate_backend($1)"] * 3, "forecast": "x" * 600},
}
Bare = Callable[[], Awaitable[object]]
Sizes = tuple[int, int]  # pairs of an intent and a bare commit; rows that are verified, at the least
LOOKS = 4
FLAVORS: tuple[Flavor, ...] = ("mariadb", "mysql")
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=fsync")


async def paired(ledger: Ledger, bare: Bare, rows: int) -> tuple[float, float, float]:
    """Median milliseconds of an intent, and of a bare commit, in turn; the median ratio of two in turn."""
    ours, theirs = [], []
    for _ in range(rows):
        start = time.perf_counter()
        action = uuid4()
        await ledger.append(Kind.INTENT, action, BODY)
        middle = time.perf_counter()
        await bare()
        theirs.append(time.perf_counter() - middle)
        ours.append(middle - start)
        await ledger.append(Kind.OUTCOME, action, {"status": "applied"})
    ratio = statistics.median(mine / its for mine, its in zip(ours, theirs, strict=True))
    return statistics.median(ours) * 1000, statistics.median(theirs) * 1000, ratio


async def reading(ledger: Ledger) -> tuple[float, float, float]:
    """Rows a second: the store read and verified, and verified alone; and the processor's microseconds a row
    of the former, which others at work do not change much.
    """
    entries = [entry async for entry in ledger.stream()]
    both = alone = 0.0
    cost = float("inf")
    for _ in range(LOOKS):
        start = time.perf_counter()
        found = verify(entries)
        middle, before = time.perf_counter(), time.process_time()
        whole = await ledger.verify()
        end, after = time.perf_counter(), time.process_time()
        if not (found.ok and whole.ok):
            raise SystemExit("the ledger has faults")
        both, alone = max(both, whole.rows / (end - middle)), max(alone, found.rows / (middle - start))
        cost = min(cost, (after - before) * 1e6 / whole.rows)
    return both, alone, cost


async def sqlite_run(folder: Path, sizes: Sizes) -> dict[str, float]:
    def commit() -> None:
        other.execute("begin immediate")
        other.execute("insert into t values (?)", (json.dumps(BODY),))
        other.execute("commit")

    other = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    other.executescript("pragma journal_mode=wal; pragma synchronous=full; create table t (body text)")
    async with open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger:
        return await measured(ledger, lambda: asyncio.to_thread(commit), sizes)


async def postgres_run(server: ScratchServer, folder: Path, sizes: Sizes) -> dict[str, float]:
    url = f"postgresql://{server.superuser}@:{server.port}/postgres?host={server.socket_dir}"
    await install(url)
    bare = await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=server.superuser, database="postgres"
    )
    await bare.execute("create table t (body text)")
    text = json.dumps(BODY)
    try:
        async with open_ledger(url, folder / "journal2") as ledger:
            return await measured(ledger, lambda: bare.execute("insert into t values ($1)", text), sizes)
    finally:
        await bare.close()


async def mysql_run(flavor: Flavor, folder: Path, sizes: Sizes) -> dict[str, float]:
    """Raises Missing where it is not installed."""
    (places.mariadbd if flavor == "mariadb" else places.mysql_root)()
    server = await asyncio.to_thread(MysqlServer, flavor, DURABLE)
    try:
        url = f"mysql://{server.superuser}@/audit?socket={server.socket}"
        await install(url)
        bare = await server.connect(database=await server.new_database())
        async with bare.cursor() as cursor, open_ledger(url, folder / flavor) as ledger:
            await cursor.execute("create table t (id bigint auto_increment primary key, body text)")
            text = json.dumps(BODY)
            return await measured(
                ledger, lambda: cursor.execute("insert into t (body) values (%s)", (text,)), sizes
            )
    finally:
        await asyncio.to_thread(server.close)


async def measured(ledger: Ledger, bare: Bare, sizes: Sizes) -> dict[str, float]:
    rows, read = sizes
    ours, theirs, ratio = await paired(ledger, bare, rows)
    for _ in range(rows, read // 2):
        action = uuid4()
        await ledger.append(Kind.INTENT, action, BODY)
        await ledger.append(Kind.OUTCOME, action, {"status": "applied"})
    both, alone, cost = await reading(ledger)
    return {
        "intent_ms": ours,
        "bare_ms": theirs,
        "ratio": ratio,
        "verify_rows_a_second": both,
        "verify_alone_rows_a_second": alone,
        "verify_cpu_us_a_row": cost,
    }


async def main() -> None:
    gc.set_threshold(COLLECT_AFTER)  # as in the command
    accounts.publish()
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1000)
    asked.add_argument("--read", type=int, default=20_000)
    asked.add_argument("--json", type=Path)
    given = asked.parse_args()
    sizes = given.rows, given.read
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # the journal is refused on tmpfs
        folder = Path(name)
        found["sqlite"] = await sqlite_run(folder, sizes)
        async with scratch_postgres(settings={"fsync": "on"}) as server:
            found["postgresql"] = await postgres_run(server, folder, sizes)
        for flavor in FLAVORS:
            try:
                found[flavor] = await mysql_run(flavor, folder, sizes)
            except places.Missing as error:
                print(f"{flavor}: {error}")
    for store, figures in found.items():
        print(
            f"{store:10}  intent {figures['intent_ms']:.2f} ms, bare commit {figures['bare_ms']:.2f} ms,"
            f" ratio {figures['ratio']:.2f}; verify {figures['verify_rows_a_second']:,.0f} rows/s"
            f" ({figures['verify_alone_rows_a_second']:,.0f} in memory,"
            f" {figures['verify_cpu_us_a_row']:.1f} us of the processor a row)"
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
