"""MySQL and MariaDB with a binary log, who reads it, and files of it as old as a test wants."""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pymysql
from pymysql.constants import COMMAND

from tests.servers import accounts
from tests.servers.mysql import Flavor, MysqlServer

SOURCE: Final = (
    "--log-bin=binlog",
    "--server-id=1",
    "--binlog-format=ROW",
    "--sync-binlog=0",
    "--binlog-expire-logs-seconds=864000",
)
# More than the buffers of a socket hold, so that a reader that does not read stays in the file.
_MUCH: Final = 8_000_000


def logged_server(flavor: Flavor) -> MysqlServer:
    """Its operator may purge and set variables."""
    server = MysqlServer(flavor, SOURCE)
    rights = "BINLOG ADMIN, SUPER" if flavor == "mariadb" else "BINLOG_ADMIN, SYSTEM_VARIABLES_ADMIN"
    with _root(server) as connection, connection.cursor() as cursor:
        cursor.execute(f"GRANT {rights} ON *.* TO {accounts.OPERATOR}@'%'")
    return server


def _root(server: MysqlServer) -> pymysql.connections.Connection[Any]:
    return pymysql.connect(unix_socket=str(server.socket), user="root", autocommit=True)


def write_files(server: MysqlServer, number: int, *, much: bool = False) -> list[str]:
    """So many files more, each with a row in it; `much` in the first of them. All names, the oldest first."""
    with _root(server) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS logged")
        cursor.execute("CREATE TABLE IF NOT EXISTS logged.t (v LONGBLOB)")
        for place in range(number):
            length = _MUCH if much and not place else 10
            cursor.execute("INSERT INTO logged.t VALUES (%s)", ("x" * length,))
            cursor.execute("FLUSH BINARY LOGS")
    return names(server)


def begin_anew(server: MysqlServer) -> None:
    """Without what an earlier test left: one file, which is being written."""
    with _root(server) as connection, connection.cursor() as cursor:
        cursor.execute("FLUSH BINARY LOGS")
        cursor.execute("PURGE BINARY LOGS TO %s", (names(server)[-1],))


def names(server: MysqlServer) -> list[str]:
    with _root(server) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        return [str(row[0]) for row in cursor.fetchall()]


def make_old(server: MysqlServer, files: list[str], days: int = 5) -> None:
    """As if they had been written so long ago: the server goes by the times of the files.

    MariaDB lets none go whose commits are not written through, which is once a second.
    """
    time.sleep(1.5 if server.flavor == "mariadb" else 0)
    then = time.time() - days * 86400
    for name in files:
        os.utime(server.data / name, (then, then))


@asynccontextmanager
async def stuck_reader(server: MysqlServer, file: str, number: int = 77) -> AsyncIterator[int]:
    """A replica that asked for the log from a file's beginning on, and stopped reading. Its session's id."""
    connection = _root(server)
    connection.cursor().execute("SET @master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE'")
    connection._execute_command(COMMAND.COM_BINLOG_DUMP, struct.pack("<IHI", 4, 0, number) + file.encode())
    try:
        await asyncio.sleep(0.5)
        yield int(connection.thread_id())
    finally:
        connection._force_close()
        with _root(server) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
            for (found,) in cursor.fetchall():
                cursor.execute(f"KILL {found}")
