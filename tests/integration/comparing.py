"""A server of its own, all of dbdeck's actions on it, and the same done by hand: for `audit compare`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

import actions
from console.audit.ledger import Ledger, open_ledger
from console.dispatch.action import Approval, Watch
from console.dispatch.comparing import compare_server
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.effect import Run
from console.dispatch.registry import Registry
from console.dispatch.scratch import LOCAL_TRUST, ScratchServer, scratch_postgres
from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.effects import Comparison, Finding, Standing
from console.model.policy import Policy
from console.model.target import EngineKind, Environment, Login, Target
from console.secrets import Secret
from tests.fakes import MemoryStore
from tests.servers import places

WATCHER = (
    "create role watcher login in role pg_monitor",
    "grant execute on function pg_current_logfile(text) to watcher",
    "grant execute on function pg_read_binary_file(text, bigint, bigint) to watcher",
    "grant select (rolname, rolpassword, rolcanlogin) on pg_authid to watcher",
)
TABLES = (
    "create table orders (id int primary key, n int, note varchar(40))",
    "insert into orders values (1, 1, 'a'), (2, 1, 'b')",
    "create index orders_n on orders (n)",
    "create table aside (id int)",
)
HBA = ("local all app scram-sha-256", *LOCAL_TRUST)  # a rotation proves the new password by a login
SETTINGS = {
    "logging_collector": "on",
    "fsync": "off",
    "autovacuum": "off",
    "log_line_prefix": "%m [%p] %q%u@%d/%a ",
    "log_timezone": "Europe/Berlin",
    "wal_level": "logical",
    "max_prepared_transactions": "5",
}


class Bench:
    """A target whose operator may do everything; `store` has the key of fingerprints once it was made."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        self.engine = engine
        self.ledger = ledger
        self.store = MemoryStore()
        self.dispatcher = Dispatcher(Registry(actions.ALL), ledger, Policy(), store=self.store)

    async def run(self, action: str, /, **given: Any) -> Run:
        plan = await self.dispatcher.plan(action, self.engine, given)
        approval = Approval(reason="a test", confirm=plan.target)
        run = await self.dispatcher.apply(plan, self.engine, approval, watch=Watch(seconds=0.5))
        assert run.effect == "applied", (action, run.error, run.verify)
        return run

    async def key(self, number: int) -> dict[str, Any]:
        found = await self.engine.session(number)
        assert found is not None
        assert found.started_at is not None
        return {"id": number, "started_at": found.started_at.isoformat()}

    async def compare(self, since: Any = None) -> Comparison:
        return await compare_server(self.engine, self.ledger, self.store, since)


@asynccontextmanager
async def bench_on(target: Target, folder: Path) -> AsyncIterator[Bench]:
    async with (
        open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger,
        open_engine(target) as engine,
    ):
        made = Bench(engine, ledger)
        try:
            yield made
        finally:
            await made.dispatcher.close()


def postgres_target(server: ScratchServer, **over: Any) -> Target:
    given: dict[str, Any] = {"monitor": Login(user="watcher"), "operator": Login(user="postgres")} | over
    return Target(
        name="t",
        engine=EngineKind.POSTGRES,
        host=str(server.socket_dir),
        port=server.port,
        database="postgres",
        environment=Environment.DEV,
        **given,
    )


def logging_server(name: str, form: str, **settings: str) -> Any:
    given = {**SETTINGS, "log_destination": form, **settings}
    return scratch_postgres(binaries=places.postgres_binaries(name), settings=given, hba=HBA)


async def psql(server: ScratchServer, *statements: str, **options: Any) -> list[Any]:
    """As a DBA with a client of their own; the rows of the last statement."""
    made = await session(server, **options)
    rows: list[Any] = []
    try:
        for sql in statements:
            rows = await made.fetch(sql)
    finally:
        await made.close()
    return rows


async def session(server: ScratchServer, user: str = "postgres", application: str = "psql") -> Any:
    return await asyncpg.connect(
        host=str(server.socket_dir),
        port=server.port,
        user=user,
        database="postgres",
        server_settings={"application_name": application},
    )


async def settle() -> None:
    """Until the collector has written what the server said."""
    await asyncio.sleep(0.7)


async def keep(bench: Bench, account: str, word: str) -> None:
    await bench.store.put(f"dbdeck/t/{account}", Secret(word))


def undeclared(found: Comparison) -> list[Finding]:
    return list(found.of(Standing.UNDECLARED))


def names(findings: Any) -> list[tuple[str, str, str]]:
    return sorted((one.kind, one.name, str(one.how)) for one in findings)
