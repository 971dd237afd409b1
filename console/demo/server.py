"""The demo's server: scratch PostgreSQL, least-privilege roles, a shop, and a ledger of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import asyncpg

from console.audit.ledger import install
from console.config import Audit, Config, TargetEntry
from console.demo.storm import storm
from console.dispatch.scratch import ScratchServer, scratch_postgres
from console.model.target import EngineKind, Environment, Login

TARGET = "demo-shop"
LEDGER = "dbdeck_ledger"
# What docs/privileges.md asks for, and nothing more: the monitor looks, the operator may signal,
# maintain and act as the owner of tables, the ledger's writer may call one function.
_ROLES = """
create role shop_owner login;
create role dbdeck_monitor login in role pg_monitor, pg_read_all_data;
create role dbdeck_operator login in role pg_monitor, pg_signal_backend, pg_maintain, shop_owner;
create role dbdeck_audit login;
create role shop_web login;
create role shop_worker login;
create role reporting login;
"""


@asynccontextmanager
async def demo_server() -> AsyncIterator[Config]:
    """A running incident and the config to look at it; everything is removed at the end.

    Raises DbdeckError when the embedded binaries are missing or do not start here.
    """
    settings = {"max_connections": "120", "fsync": "off", "autovacuum": "off", "log_min_messages": "warning"}
    async with scratch_postgres(settings=settings) as server:
        await _prepare(server)
        with _journal() as journal:
            async with storm(str(server.socket_dir), server.port):
                yield _config(server, journal)


@contextmanager
def _journal() -> Iterator[Path]:
    """A journal is refused where a reboot empties it, and the server's own folder may be such a place."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "dbdeck"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=state, prefix="demo-journal-") as folder:
        yield Path(folder)


async def _prepare(server: ScratchServer) -> None:
    admin = await _connect(server, "postgres")
    try:
        await admin.execute(_ROLES)
        await admin.execute("create database shop")
        await admin.execute(f"create database {LEDGER}")
    finally:
        await admin.close()
    shop = await _connect(server, "shop")
    try:
        await shop.execute((files("console.demo") / "schema.sql").read_text(encoding="utf-8"))
        with suppress(asyncpg.UniqueViolationError):  # what a failed build leaves behind
            await shop.execute("create unique index concurrently visits_page on shop.visits (page)")
    finally:
        await shop.close()
    await install(_url(server, server.superuser), writers=["dbdeck_audit"], auditors=["dbdeck_audit"])


async def _connect(server: ScratchServer, database: str) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        host=str(server.socket_dir),
        port=server.port,
        user=server.superuser,
        database=database,
        ssl=False,
    )


def _url(server: ScratchServer, user: str) -> str:
    return f"postgresql://{user}@:{server.port}/{LEDGER}?host={quote(str(server.socket_dir))}"


def _config(server: ScratchServer, journal: Path) -> Config:
    target = TargetEntry(
        engine=EngineKind.POSTGRES,
        host=str(server.socket_dir),
        port=server.port,
        database="shop",
        environment=Environment.DEMO,
        monitor=Login(user="dbdeck_monitor"),
        operator=Login(user="dbdeck_operator"),
        labels={"team": "shop"},
    )
    return Config(
        audit=Audit(url=_url(server, "dbdeck_audit"), journal=str(journal)), targets={TARGET: target}
    )
