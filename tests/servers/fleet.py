"""The test session's servers: each is started when a test first asks for it."""

from __future__ import annotations

import resource

from tests.servers import places
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

Server = PostgresServer | MysqlServer


class Fleet:
    """Keeps what was started, and what could not be: a broken server is not tried twice."""

    def __init__(self) -> None:
        _allow_many_files()
        self._started: dict[str, Server] = {}
        self._broken: dict[str, Exception] = {}

    def get(self, name: str) -> Server:
        """Raises `places.Missing` where the server is not installed."""
        if name in self._broken:
            raise self._broken[name]
        if name not in self._started:
            try:
                self._started[name] = _launch(name)
            except Exception as error:
                self._broken[name] = error
                raise
        server = self._started[name]
        # A test that failed in the middle of a restart must not fail all that come after it.
        if not server.running():
            server.start()
        return server

    def close(self) -> None:
        while self._started:
            self._started.popitem()[1].close()


def _allow_many_files() -> None:
    """Tests hold hundreds of sessions, on both ends; servers inherit the limit from us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _launch(name: str) -> Server:
    if name in places.POSTGRES:
        places.postgres_binaries(name)
        return PostgresServer(name)
    if name == "mariadb":
        places.mariadbd()
        return MysqlServer("mariadb")
    places.mysql_root()
    return MysqlServer("mysql")
