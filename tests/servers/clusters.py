"""One member of a cluster, alone in it: a node of Galera, a member of Group Replication."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

from console.dispatch.scratch import free_port
from tests.servers.aside import run
from tests.servers.mysql import MysqlServer
from tests.servers.places import Missing

_ONLINE = (
    "select 1 from performance_schema.replication_group_members"
    " where member_state = 'ONLINE' and not @@global.super_read_only"
)
_LIBRARY = Path("/usr/lib/galera/libgalera_smm.so")


def galera_node() -> MysqlServer:
    """Raises Missing where Debian's galera-4 is not installed, which comes with mariadb-server."""
    if not _LIBRARY.is_file():
        raise Missing("the Debian package galera-4 is not installed")
    node = MysqlServer("mariadb")
    port = free_port(node.host)
    node.more = (
        "--wsrep-on=ON",
        f"--wsrep-provider={_LIBRARY}",
        "--wsrep-cluster-address=gcomm://",
        f"--wsrep-node-address={node.host}:{port}",
        f"--wsrep-provider-options=base_port={port};gcache.size=16M",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
    )
    return _again(node, "select 1 from information_schema.global_status"
                  " where variable_name = 'wsrep_ready' and variable_value = 'ON'")  # fmt: skip


def group_member() -> MysqlServer:
    member = MysqlServer("mysql")
    address = f"{member.host}:{free_port(member.host)}"
    member.more = (
        "--log-bin=log",
        "--server-id=1",
        "--gtid-mode=ON",
        "--enforce-gtid-consistency=ON",
        "--plugin-load-add=group_replication.so",
        f"--loose-group-replication-group-name={uuid4()}",
        f"--loose-group-replication-local-address={address}",
        f"--loose-group-replication-group-seeds={address}",
        "--loose-group-replication-bootstrap-group=ON",
        "--loose-group-replication-start-on-boot=ON",
    )
    return _again(member, _ONLINE)


def until_online(member: MysqlServer) -> None:
    """And writable, which it is a moment later."""
    _wait(member, _ONLINE)


def _again(server: MysqlServer, until: str) -> MysqlServer:
    """Started once more, as what it is to be."""
    try:
        server.restart()
        _wait(server, until)
    except BaseException:
        server.close()
        raise
    return server


def _wait(server: MysqlServer, until: str) -> None:
    deadline = time.monotonic() + 30
    while not run(_rows(server, until)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} did not come to: {until}")
        time.sleep(0.1)


async def _rows(server: MysqlServer, sql: str) -> bool:
    connection = await server.connect()
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(sql)
            return bool(await cursor.fetchall())
    finally:
        connection.close()
