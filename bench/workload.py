"""A busy PostgreSQL: 500 sessions, 200 of them waiting for a lock, until it is ended.

`python -m bench.workload HOST PORT` prints READY when it stands. Five root blockers, idle in transaction: a
chain of 20, a fan-out of 40, a queue of 35 behind an ALTER TABLE, a tree of 65 and 40 on one row; 15 more in
transaction, 50 running, the rest idle. `--hot N` instead: N sessions in the queue for one row.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

SUPERUSER = "postgres"
ACTIVE, IDLE, IN_TRANSACTION = 50, 230, 15
CHAIN, FAN_OUT, BEHIND_DDL, TREE, HOT = 20, 40, 35, 65, 40
_DEEPEST = 12
_TABLES = """
drop table if exists acct, ledger;
create table acct (g int, n int, v int default 0, primary key (g, n)) with (fillfactor = 50);
create table ledger (id int primary key, v int);
insert into ledger select g, g from generate_series(1, 1000) g;
insert into acct select g, n from generate_series(1, 5) g, generate_series(0, 200) n
"""
_TEXTS = (
    "SELECT o.id, o.total, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.state = 1",
    "SELECT date_trunc('hour', at), count(*) FROM events WHERE at > now() - interval '1 day' GROUP BY 1",
    "SELECT sku, sum(quantity) FROM stock_moves GROUP BY sku HAVING sum(quantity) < 0 ORDER BY 2 LIMIT 50",
)


class Crowd:
    """Sessions that stay until it is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._where: dict[str, Any] = {"host": host, "port": port, "user": SUPERUSER, "database": "postgres"}
        self._dice = random.Random(7)
        self._sessions: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def session(self, application: str) -> Any:
        made = await asyncpg.connect(
            **self._where, statement_cache_size=0, server_settings={"application_name": application}
        )
        self._sessions.append(made)
        return made

    async def root(self, name: str, statement: str) -> None:
        """Idle in transaction, holding what the statement locked."""
        session = await self.session(name)
        await session.execute("begin")
        await session.execute(statement)

    async def waiter(self, name: str, statement: str, *, held: str = "") -> None:
        session = await self.session(name)
        if held:
            await session.execute("begin")
            await session.execute(held)
        self._tasks.append(asyncio.create_task(_quiet(session, statement)))
        await asyncio.sleep(0.005)

    def text(self) -> str:
        return f"{self._dice.choice(_TEXTS)} /* req={self._dice.randrange(1 << 40):x} */"

    async def tree(self, name: str, group: int, size: int, *, chain: bool) -> None:
        """Each node holds its own row and waits for its parent's."""
        depth = {0: 0}
        for node in range(1, size + 1):
            open_ones = [one for one, deep in depth.items() if deep < _DEEPEST]
            parent = node - 1 if chain else self._dice.choice(open_ones)
            depth[node] = depth[parent] + 1
            await self.waiter(f"{name}-{node}", update(group, parent), held=update(group, node))

    async def hot(self, waiters: int, group: int = 5) -> None:
        await self.root("root-hot", update(group, 0))
        for n in range(waiters):
            await self.waiter(f"hot-{n}", update(group, 0))

    async def behind_ddl(self) -> None:
        await self.root("root-ddl", "select count(*) from ledger")
        await self.waiter("ddl-0", "ALTER TABLE ledger ADD COLUMN note text")
        await asyncio.sleep(0.3)
        for n in range(1, BEHIND_DDL):
            await self.waiter(
                f"ddl-{n}", f"SELECT * FROM ledger WHERE id = {n} /* queued behind the ALTER */"
            )

    async def busy(self, number: int) -> None:
        """Runs one statement after another, each of some seconds."""
        dice, session = random.Random(number), await self.session(f"active-{number}")

        async def go_on() -> None:
            while True:
                await session.execute(f"select pg_sleep({dice.uniform(0.5, 20):.2f}) /* {self.text()} */")

        self._tasks.append(asyncio.create_task(go_on()))

    async def incident(self) -> None:
        await self.root("root-chain", update(1, 0))
        await self.tree("chain", 1, CHAIN, chain=True)
        await self.root("root-fanout", "update acct set v = v + 1 where g = 2")
        for n in range(1, FAN_OUT + 1):
            await self.waiter(f"fanout-{n}", update(2, n))
        await self.behind_ddl()
        await self.root("root-tree", update(4, 0))
        await self.tree("tree", 4, TREE, chain=False)
        await self.hot(HOT)
        for n in range(IN_TRANSACTION):
            await self.root(f"idletx-{n}", f"select {n} /* {self.text()} */")
        for n in range(ACTIVE):
            await self.busy(n)
        for n in range(IDLE):
            await (await self.session(f"pool-{n}")).execute(f"select 1 /* {self.text()} */")

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for session in self._sessions:
            session.terminate()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def update(group: int, row: int) -> str:
    return f"/* svc=billing */ UPDATE acct SET v = v + 1 WHERE g = {group} AND n = {row}"


async def _quiet(session: Any, statement: str) -> None:
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await session.execute(statement)


async def _stand(host: str, port: int, hot: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    crowd = Crowd(host, port)
    try:
        await (await crowd.session("workload")).execute(_TABLES)
        await (crowd.hot(hot) if hot else crowd.incident())
        await asyncio.sleep(1.5)
        print("READY", flush=True)
        await over.wait()
    finally:
        await crowd.close()


@contextlib.asynccontextmanager
async def workload(host: str, port: int, *, hot: int = 0) -> AsyncIterator[None]:
    """The same in a process of its own, so that it takes nothing of ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.workload",
        host,
        str(port),
        "--hot",
        str(hot),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        if await process.stdout.readline() != b"READY\n":
            raise SystemExit("the workload did not come to stand")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--hot", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(_stand(given.host, given.port, given.hot))
