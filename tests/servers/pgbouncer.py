"""A real PgBouncer before a PostgreSQL of the test session, as an unprivileged user on a port of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.dispatch.lease import environment, lease, tail, unprivileged
from console.dispatch.scratch import free_port
from console.model.hooks import PoolerAdmin
from tests.servers import places
from tests.servers.postgres import PostgresServer

ADMIN, WORD = "pooler_admin", "pooler-admin-pw"
_HOST = "127.0.0.1"


class PgBouncer:
    """`userlist` is its own and has mode 0600."""

    host = _HOST

    def __init__(self, server: PostgresServer) -> None:
        program = places.pgbouncer()
        self._held = lease("data/pgbouncer.pid", "data", "TERM", unprivileged())
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._data = self._held.folder("data")
            self.port = free_port(_HOST)
            self.userlist = self._write("userlist.txt", f';; by hand\n"{ADMIN}" "{WORD}"\n')
            self._ini = self._write("pgbouncer.ini", self._settings(server))
            self.log = self._held.root / "pgbouncer.log"
            self._start(program)
        except BaseException:
            self.close()
            raise

    def hook(self, **verify: Any) -> dict[str, Any]:
        """As the config writes it; the admin's password is in the environment."""
        os.environ["DBDECK_TEST_POOLER"] = WORD
        way = {"host": self.host, "port": self.port, "tls": "off"}
        admin = {**way, "user": ADMIN, "password": "env:DBDECK_TEST_POOLER"}
        return {
            "pgbouncer": {
                "userlist": str(self.userlist),
                "admin": admin,
                "verify": {**way, "database": "postgres", **verify},
            }
        }

    @property
    def admin(self) -> PoolerAdmin:
        return msgspec.convert(self.hook()["pgbouncer"]["admin"], PoolerAdmin)

    def knows(self, user: str, secret: str) -> None:
        """A line for the user; read at its next RELOAD or start."""
        with self.userlist.open("a") as file:
            file.write(f'"{user}" "{secret}"\n')

    def close(self) -> None:
        self._held.close_now()
        if self._process is not None:
            self._process.wait(10)

    def _settings(self, server: PostgresServer) -> str:
        return f"""[databases]
* = host=127.0.0.1 port={server.tcp_port}
[pgbouncer]
listen_addr = {_HOST}
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self.userlist}
admin_users = {ADMIN}
pool_mode = transaction
pidfile = {self._data}/pgbouncer.pid
"""

    def _write(self, name: str, text: str) -> Path:
        path = self._data / name
        path.write_text(text)
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, self._held.account.uid, self._held.account.gid)
        return path

    def _start(self, program: Path) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), str(self._ini)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._data,
                env=environment(),
                **self._held.account.of_children(),
            )
        until = time.monotonic() + 10
        while not (self._data / "pgbouncer.pid").exists() or "process up" not in tail(self.log):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PgBouncer did not start:\n{tail(self.log)}")
            time.sleep(0.05)


@contextmanager
def pgbouncer_before(server: PostgresServer) -> Iterator[PgBouncer]:
    """Skips the test where PgBouncer is not installed; in CI it fails."""
    try:
        made = PgBouncer(server)
    except places.Missing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI every server has to be there: {missing}")
        pytest.skip(str(missing))
    try:
        yield made
    finally:
        made.close()
