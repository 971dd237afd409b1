"""A replica of a MySQL or MariaDB with a binary log."""

from __future__ import annotations

import asyncio
from typing import Any

import pymysql

from tests.servers.mysql import MysqlServer

_OPTIONS = (
    "--log-bin=binlog",
    "--server-id=2",
    "--relay-log=relay",
    "--binlog-format=ROW",
    "--sync-binlog=0",
)
_USER = "replicator"


def replica_of(source: MysqlServer) -> MysqlServer:
    """From where the source's log stands now; what is in the source already is not in it."""
    replica = MysqlServer(source.flavor, _OPTIONS)
    position = _ask(source, "SHOW BINARY LOG STATUS" if source.flavor == "mysql" else "SHOW MASTER STATUS")
    _ask(source, f"CREATE USER IF NOT EXISTS {_USER}@'%' IDENTIFIED BY 'replicator-pw'")
    _ask(source, f"GRANT REPLICATION SLAVE ON *.* TO {_USER}@'%'")
    word = "SOURCE" if source.flavor == "mysql" else "MASTER"
    begin = "CHANGE REPLICATION SOURCE TO" if source.flavor == "mysql" else "CHANGE MASTER TO"
    more = f", {word}_SSL = 1, {word}_SSL_VERIFY_SERVER_CERT = 0"
    _ask(
        replica,
        f"{begin} {word}_HOST = '127.0.0.1', {word}_PORT = {source.port}, {word}_USER = '{_USER}',"
        f" {word}_PASSWORD = 'replicator-pw', {word}_LOG_FILE = '{position[0][0]}',"
        f" {word}_LOG_POS = {position[0][1]}, {word}_CONNECT_RETRY = 1{more}",
    )
    _ask(replica, "START REPLICA")
    return replica


async def there(replica: MysqlServer, sql: str) -> None:
    """Until the answer has a row."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(_quietly, replica, sql):
            await asyncio.sleep(0.1)


def _quietly(server: MysqlServer, sql: str) -> bool:
    try:
        return bool(_ask(server, sql))
    except pymysql.MySQLError:
        return False


def _ask(server: MysqlServer, sql: str) -> list[tuple[Any, ...]]:
    connection = pymysql.connect(unix_socket=str(server.socket), user="root", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())
    finally:
        connection.close()
