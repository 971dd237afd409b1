"""A real MySQL or MariaDB of the test session."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import aiomysql
import pymysql

from console.dispatch.lease import environment, lease, reachable, tail, unprivileged
from console.dispatch.scratch import free_port
from tests.servers import accounts, certificates, places
from tests.servers.aside import run

Flavor = Literal["mysql", "mariadb"]

_BOTH = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--max-connections=800",
    "--performance-schema=ON",
    "--innodb-buffer-pool-size=96M",
    "--innodb-doublewrite=0",
    # Commits reach the kernel: a test that kills the server must not lose what was committed.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--skip-log-bin",
    "--innodb-print-all-deadlocks=ON",
)
_ONLY = {
    "mariadb": (
        "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON",
        "--innodb-log-file-size=8M",
        # It gives up connections for tables where few files may be open.
        "--table-open-cache=200",
    ),
    # Below 3 its error log has neither the time nor the victim of a deadlock.
    "mysql": ("--mysqlx=OFF", "--innodb-redo-log-capacity=8M", "--log-error-verbosity=3"),
}
# The port on which a server lets its administrators in when all other connections are taken.
_RESCUE = {
    "mariadb": "--extra-port={port} --extra-max-connections=2",
    "mysql": "--admin-address=127.0.0.1 --admin-port={port}",
}


class MysqlServer:
    """Listens on 127.0.0.1 and on `socket`, where `root` needs no password. `log` is its error log.

    `start`, `stop` and `restart` block: a test that has a loop to keep alive gives them a thread.
    """

    host = "127.0.0.1"
    superuser = "root"

    def __init__(self, flavor: Flavor, more: Sequence[str] = ()) -> None:
        """`more` are options of the server, which win over ours."""
        self.name = flavor
        self.more = tuple(more)
        self.flavor = flavor
        self._held = lease("data/mysqld.pid", "data", "TERM", unprivileged(("mysql", "nobody")))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._prepare()
            self.start()
            run(self._make_accounts())
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self._tls = certificates.write(self._held.root)
        for path in (self._tls.ca, self._tls.certificate, self._tls.key):
            self._held.give_to_read(path)
        self._data = self._held.folder("data")
        self._run_folder = self._held.folder("run")
        self.socket = self._run_folder / "socket"
        self.port = free_port(self.host)
        self.rescue_port = free_port(self.host)
        self.log = self._held.root / "server.log"
        self._program = self._find_program()
        self._initialise()

    def _find_program(self) -> list[str]:
        if self.flavor == "mariadb":
            return [str(places.mariadbd()), "--no-defaults"]
        root = places.mysql_root()
        if not reachable(root, self._held.account):
            root = self._held.copy_program(root, "mysql")
        return places.mysqld_argv(root)

    def _initialise(self) -> None:
        where = [f"--datadir={self._data}", f"--tmpdir={self._run_folder}"]
        if self.flavor == "mysql":
            small = ["--innodb-redo-log-capacity=8M", "--innodb-flush-method=nosync"]
            argv = [*self._program, *where, *small, "--initialize-insecure"]
        else:
            install = shutil.which("mariadb-install-db") or "mariadb-install-db"
            argv = [install, "--no-defaults", *where, "--skip-test-db", "--skip-name-resolve"]
            argv += ["--auth-root-authentication-method=normal", "--innodb-flush-method=nosync"]
        with self.log.open("ab") as log:
            process = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment(),
                timeout=120,
                check=False,
                **self._held.account.of_children(),
            )
        if process.returncode != 0:
            raise RuntimeError(f"{self.name} could not be initialised:\n{tail(self.log)}")

    async def _make_accounts(self) -> None:
        connection = await self.connect()
        try:
            async with connection.cursor() as cursor:
                # MariaDB also makes a root without a password for each address of the machine.
                await cursor.execute(
                    "SELECT host FROM mysql.user WHERE user = 'root' AND host <> 'localhost'"
                )
                for (address,) in await cursor.fetchall():
                    await cursor.execute("DROP USER 'root'@%s", (address,))
                for statement in accounts.mysql_statements(self.flavor):
                    await cursor.execute(statement)
        finally:
            connection.close()

    @property
    def ca_file(self) -> Path:
        return self._tls.ca

    @property
    def data(self) -> Path:
        return self._data

    @property
    def pid(self) -> int | None:
        """The server's process id, or None while it is down."""
        return None if self._process is None else self._process.pid

    def target_dict(self, **over: Any) -> dict[str, Any]:
        """A target as the config has it, over TCP, with TLS verified in full."""
        target: dict[str, Any] = {
            "engine": "mysql",
            "host": self.host,
            "port": self.port,
            "database": "",
            "environment": "dev",
            "tls": "verify-full",
            "ca": str(self.ca_file),
            "monitor": accounts.login(accounts.MONITOR),
            "operator": accounts.login(accounts.OPERATOR),
        }
        return target | over

    async def connect(
        self,
        user: str | None = None,
        password: str | None = None,
        database: str | None = None,
        **options: Any,
    ) -> Any:
        """Over the socket as root, or over TCP as somebody else. Close it with `.close()`."""
        user = user or self.superuser
        if user == self.superuser:
            options = {"unix_socket": str(self.socket)} | options
        else:
            options = {"host": self.host, "port": self.port} | options
        word = password if password is not None else accounts.PASSWORDS.get(user, "")
        return await aiomysql.connect(user=user, password=word, db=database, autocommit=True, **options)

    async def new_database(self) -> str:
        """A fresh database in which the application's account may do everything."""
        name = accounts.DATABASE_PREFIX + uuid.uuid4().hex[:12]
        connection = await self.connect()
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(f"CREATE DATABASE {name}")
        finally:
            connection.close()
        return name

    def start(self) -> None:
        argv = [
            *self._program,
            *_BOTH,
            *_ONLY[self.flavor],
            *(f"--datadir={self._data}", f"--tmpdir={self._run_folder}", f"--port={self.port}"),
            *_RESCUE[self.flavor].format(port=self.rescue_port).split(),
            *(f"--socket={self.socket}", f"--pid-file={self._data}/mysqld.pid"),
            *(f"--ssl-ca={self._tls.ca}", f"--ssl-cert={self._tls.certificate}"),
            f"--ssl-key={self._tls.key}",
            *self.more,
        ]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for pytest.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment(),
                start_new_session=True,
                **self._held.account.of_children(),
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while not run(self._answers()):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self._kill()
                raise RuntimeError(f"{self.name} did not start:\n{tail(self.log)}")
            time.sleep(0.05)

    async def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            connection = await asyncio.wait_for(self.connect(), 5)
        except (OSError, pymysql.MySQLError, TimeoutError):
            return False
        connection.close()
        return True

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """`immediate` is a crash: SIGKILL, and recovery at the next start."""
        if self._process is None:
            return
        if mode == "fast":
            self._process.terminate()
            self._process.wait(60)
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Nothing here is to be kept, so there is nothing to wait for."""
        self._kill()
        self._held.close_now()
