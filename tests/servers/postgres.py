"""A real PostgreSQL of the test session."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

import asyncpg

from console.dispatch import scratch
from tests.servers import accounts, certificates, places
from tests.servers.aside import run

# A crash of the machine may lose anything, a crash of the server nothing that was committed; there is
# room for tests with hundreds of sessions, and autovacuum does not come to what an earlier test left.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "1000",
    "max_prepared_transactions": "20",
    "shared_buffers": "64MB",
    "password_encryption": "scram-sha-256",
    "log_connections": "off",
    "wal_level": "logical",
    "autovacuum_naptime": "20d",
}
_HBA = (
    "local all postgres trust",
    "local replication postgres trust",
    "local all all scram-sha-256",
    "host all all 127.0.0.1/32 scram-sha-256",
)
# The wheel of 18 is built without OpenSSL: there a client that asks for TLS has to be refused.
_WITH_TLS = ("pg15", "pg17")


class PostgresServer:
    """`host` is the folder of the socket; the same port is open on 127.0.0.1.

    Over the socket `postgres` needs no password; everybody else does, everywhere.
    `start`, `stop` and `restart` block: a test that has a loop to keep alive gives them a thread.
    """

    flavor = "postgresql"
    superuser = scratch.SUPERUSER

    def __init__(self, name: str) -> None:
        self.name = name
        self._held = scratch.lease_for_postgres()
        try:
            self._tls = certificates.write(self._held.root) if name in _WITH_TLS else None
            self.scratch = run(scratch.build(self._held, self._plan()))
            run(self._make_accounts())
        except BaseException:
            self._held.close_now()
            raise

    def _plan(self) -> scratch.Plan:
        settings = dict(_SETTINGS)
        if self._tls is not None:
            for path in (self._tls.certificate, self._tls.key):
                self._held.give_to_read(path)
            settings |= {
                "ssl": "on",
                "ssl_cert_file": str(self._tls.certificate),
                "ssl_key_file": str(self._tls.key),
            }
        return scratch.Plan(
            binaries=places.postgres_binaries(self.name),
            settings=settings,
            hba=_HBA,
            listen="127.0.0.1",
            port=scratch.free_port("127.0.0.1"),
        )

    async def _make_accounts(self) -> None:
        connection = await self.connect()
        try:
            for statement in accounts.postgres_statements():
                await connection.execute(statement)
        finally:
            await connection.close()

    @property
    def major(self) -> int:
        return self.scratch.version

    @property
    def host(self) -> str:
        return str(self.scratch.socket_dir)

    @property
    def port(self) -> int:
        return self.scratch.port

    @property
    def tcp_port(self) -> int:
        return self.scratch.port

    @property
    def binaries(self) -> Path:
        return self.scratch.binaries

    @property
    def ca_file(self) -> Path | None:
        """The authority to trust, where this server has TLS."""
        return None if self._tls is None else self._tls.ca

    def target_dict(self, **over: Any) -> dict[str, Any]:
        """A target as the config has it, over TCP, with TLS verified in full where there is TLS."""
        target: dict[str, Any] = {
            "engine": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "database": "postgres",
            "environment": "dev",
            "tls": "off",
            "monitor": accounts.login(accounts.MONITOR),
            "operator": accounts.login(accounts.OPERATOR),
        }
        if self.ca_file is not None:
            target |= {"tls": "verify-full", "ca": str(self.ca_file)}
        return target | over

    async def connect(
        self, user: str | None = None, database: str = "postgres", **options: Any
    ) -> asyncpg.Connection[asyncpg.Record]:
        """Over the socket; the superuser unless somebody else is named."""
        user = user or self.superuser
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=accounts.PASSWORDS.get(user),
            database=database,
            **options,
        )

    async def new_database(self) -> str:
        """A fresh database that belongs to the application's account."""
        name = accounts.DATABASE_PREFIX + uuid.uuid4().hex[:12]
        connection = await self.connect()
        try:
            await connection.execute(f"CREATE DATABASE {name} OWNER {accounts.APP}")
        finally:
            await connection.close()
        return name

    async def forget_databases(self) -> None:
        """What earlier tests left: a copy of the whole server takes minutes with hundreds of databases."""
        connection = await self.connect()
        try:
            for row in await connection.fetch(
                "select datname from pg_database where starts_with(datname, $1)", accounts.DATABASE_PREFIX
            ):
                with contextlib.suppress(asyncpg.ObjectInUseError):  # a prepared transaction, or a slot
                    await connection.execute(f"DROP DATABASE {row['datname']} WITH (FORCE)")
        finally:
            await connection.close()

    def start(self) -> None:
        run(scratch.start(self.scratch))

    def stop(self, mode: str = "fast") -> None:
        run(scratch.stop(self.scratch, mode))

    def restart(self, mode: str = "fast") -> None:
        """`immediate` is a crash, with recovery."""
        run(scratch.restart(self.scratch, mode))

    def running(self) -> bool:
        return self.scratch.pid is not None

    def close(self) -> None:
        self._held.close_now()
