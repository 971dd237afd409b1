"""Scenarios of sessions, lock chains and prepared transactions."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from console.engine.open import open_engine
from tests.crashing.situation import Fresh, Ground, Made, Scenario, Situation, Truth, of_many, yes
from tests.integration.actions.conftest import superuser, until
from tests.servers import accounts
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Client, Scene, end_sessions, scene, touch
from tests.targets import target_of


async def there(server: Server, ids: Sequence[int]) -> set[int]:
    """Of these sessions those that the server still has."""
    numbers = ", ".join(map(str, ids))
    mysql = isinstance(server, MysqlServer)
    id_of, table = ("processlist_id", "performance_schema.threads") if mysql else ("pid", "pg_stat_activity")
    rows = await superuser(server, f"select {id_of} from {table} where {id_of} in ({numbers})")
    return {int(number) for (number,) in rows}


async def _key(server: Server, session: int, named: str = "id") -> dict[str, Any]:
    """As `show sessions` gives it. InnoDB tells of transactions with a delay: a plan from before is stale."""
    async with open_engine(target_of(server)) as engine:
        found = await engine.session(session)
        for _ in range(10):
            if found is None or found.transaction_started_at is not None:
                break
            await asyncio.sleep(0.05)
            found = await engine.session(session)
    assert found is not None
    assert found.started_at is not None
    return {named: session, "started_at": found.started_at.isoformat()}


async def ended(server: Server, clients: Sequence[Client]) -> Truth:
    return of_many(len(clients) - len(await there(server, [one.id for one in clients])), len(clients))


async def tidy(shop: Scene) -> None:
    """Clients of one situation go with it."""
    gone, shop.clients[:] = list(shop.clients), []
    await end_sessions(shop.server, [one.id for one in gone])
    await asyncio.gather(*(one.close() for one in gone))


@asynccontextmanager
async def terminate(server: Server, _: Path) -> Made:
    async with scene(server) as shop:
        await tidy(shop)

        @asynccontextmanager
        async def fresh() -> Fresh:
            holder, _ = await shop.chain(2)
            try:
                yield Situation(await _key(server, holder.id), lambda: ended(server, [holder]))
            finally:
                await tidy(shop)

        yield Ground(fresh)


@asynccontextmanager
async def cancel(server: Server, _: Path) -> Made:
    sleep = "select sleep(600)" if isinstance(server, MysqlServer) else "select pg_sleep(600)"

    async def stopped(client: Client) -> Truth:
        mysql = isinstance(server, MysqlServer)
        working = (
            f"performance_schema.threads where processlist_id = {client.id}"
            " and processlist_command not in ('Sleep', 'Killed')"
            if mysql
            else f"pg_stat_activity where pid = {client.id} and state = 'active'"
        )
        return yes((await superuser(server, f"select count(*) from {working}"))[0][0] == 0)

    async with scene(server) as shop:
        await tidy(shop)

        @asynccontextmanager
        async def fresh() -> Fresh:
            client = await shop.client("batch")
            client.wait(sleep)

            async def at_work() -> bool:
                return await stopped(client) == "not_applied"

            await until(at_work)
            try:
                yield Situation(await _key(server, client.id), lambda: stopped(client))
            finally:
                await tidy(shop)

        yield Ground(fresh)


@asynccontextmanager
async def terminate_idle(server: Server, _: Path) -> Made:
    async with scene(server) as shop:
        await tidy(shop)

        @asynccontextmanager
        async def fresh() -> Fresh:
            clients = [await shop.holder(order) for order in (1, 2, 3)]
            await asyncio.sleep(2.1 if isinstance(server, MysqlServer) else 1.1)
            args = {"older_than": "1s", "database": shop.database, "pause": 0.1}
            try:
                yield Situation(args, lambda: ended(server, clients))
            finally:
                await tidy(shop)

        yield Ground(fresh)


@asynccontextmanager
async def break_chain(server: Server, _: Path) -> Made:
    mysql = isinstance(server, MysqlServer)
    async with scene(server) as shop:
        await tidy(shop)

        async def two_readers() -> list[Client]:
            readers = [await shop.client("report") for _ in range(2)]
            for place, reader in enumerate(readers):
                await reader.run("begin")
                if mysql:
                    await reader.run(touch(1500 + place))
                row = "select n from orders where id = 5 lock in share mode"
                await reader.run(row if mysql else "lock table orders in share mode")
            for _ in range(3):
                await shop.waiter(5)
            await asyncio.sleep(0.3)
            return readers

        @asynccontextmanager
        async def fresh() -> Fresh:
            readers = await two_readers()
            args = await _key(server, readers[0].id, "root")
            try:
                yield Situation(args, lambda: ended(server, readers))
            finally:
                await tidy(shop)

        yield Ground(fresh)


async def prepared(server: Server) -> str:
    """The names of all transactions that are."""
    mysql = isinstance(server, MysqlServer)
    rows = await superuser(server, "xa recover" if mysql else "select gid from pg_prepared_xacts")
    return " ".join(str(row[-1]) for row in rows)


async def prepare(shop: Scene, name: str) -> None:
    """One whose client is gone."""
    client = await shop.client("coordinator")
    mysql = isinstance(shop.server, MysqlServer)
    xa = (f"xa start '{name}'", touch(7), f"xa end '{name}'", f"xa prepare '{name}'")
    for sql in xa if mysql else ("begin", touch(7), f"prepare transaction '{name}'"):
        await client.run(sql)
    await client.close()
    await asyncio.sleep(0.3)
    shop.clients.clear()


@asynccontextmanager
async def seeing_prepared(server: Server) -> AsyncIterator[None]:
    """What dbdeck documents for MySQL: the monitor sees them."""
    mysql = server.name == "mysql"
    if mysql:
        await superuser(server, f"grant xa_recover_admin on *.* to {accounts.MONITOR}@'%'")
    yield
    if mysql:
        await superuser(server, f"revoke xa_recover_admin on *.* from {accounts.MONITOR}@'%'")


@asynccontextmanager
async def rollback_prepared(server: Server, _: Path) -> Made:
    """By the application itself as the operator: only an owner may finish it in PostgreSQL."""
    mysql = isinstance(server, MysqlServer)
    owner = {"operator": {"user": accounts.APP, "password": "env:DBDECK_TEST_APP"}}
    async with seeing_prepared(server), scene(server) as shop:
        await tidy(shop)

        @asynccontextmanager
        async def fresh() -> Fresh:
            name = f"trip-{uuid.uuid4().hex[:8]}"
            await prepare(shop, name)

            async def truth() -> Truth:
                return yes(name not in await prepared(server))

            yield Situation({"gid": f"'{name}'" if mysql else name}, truth)
            if await truth() == "not_applied":
                verb = "xa rollback" if mysql else "rollback prepared"
                await superuser(server, f"{verb} '{name}'", database=shop.database)

        yield Ground(fresh, over={} if mysql else owner)


SCENARIOS = (
    Scenario("session.cancel", cancel),
    Scenario("session.terminate", terminate),
    Scenario("session.terminate_idle", terminate_idle),
    Scenario("chain.break", break_chain),
    Scenario("transaction.rollback_prepared", rollback_prepared),
)
