"""The cluster that the server is a part of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.engine.mysql.link import Link
from console.model.cluster import GALERA, GROUP, Cluster

_SYNCED = "Synced"
_ONLINE = "ONLINE"
_OFF = ("", "NONE")


async def cluster(link: Link) -> Cluster | None:
    """None where it is a part of none. Raises an Unreachable error, PrivilegeMissing on MySQL."""
    _, server = await link.connected()
    row = (await link.fetch("cluster", "the cluster"))[0]
    return galera(row) if server.flavor == "mariadb" else group(row)


def galera(row: Mapping[str, Any]) -> Cluster | None:
    """None where no provider is loaded. MariaDB, "Galera Cluster Status Variables" and "System Variables"."""
    if not row["provider"]:
        return None
    component, node = row["component"] or "", row["node"] or ""
    joined = component == "Primary" and row["ready"] == "ON"
    refusing = row["refusing"] or ""
    return Cluster(
        kind=GALERA,
        state=", ".join(word for word in (component, node) if word),
        joined=joined,
        settled=node == _SYNCED,
        there=int(row["size"] or 0) if joined else None,
        refusing="" if refusing.upper() in _OFF else refusing,
        apart=row["taking_part"] != "ON",
        ddl=row["ddl"] or "",
    )


def group(row: Mapping[str, Any]) -> Cluster | None:
    """MySQL manual 29.12.11.16, replication_group_members."""
    state = row["member"]
    if not state or not row["name"]:
        return None
    members = int(row["members"])
    return Cluster(
        kind=GROUP,
        state=state,
        joined=state in (_ONLINE, "RECOVERING"),
        settled=state == _ONLINE,
        there=int(row["members_online"]),
        members=members,
        # Who is unreachable stays in the list for as long as too few are left to take it out.
        majority=2 * int(row["members_lost"]) < members,
    )
