"""Rows of the pulse -> the cluster that the server is a part of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.model.cluster import GALERA, GROUP, Cluster

_SYNCED = "Synced"
_ONLINE = "ONLINE"


def galera(row: Mapping[str, Any]) -> Cluster | None:
    """None where no provider is loaded. MariaDB, "Galera Cluster Status Variables"."""
    if not row.get("provider"):
        return None
    component, node = row["component"] or "", row["node"] or ""
    joined = component == "Primary" and row["ready"] == "ON"
    return Cluster(
        kind=GALERA,
        state=", ".join(word for word in (component, node) if word),
        joined=joined,
        settled=node == _SYNCED,
        there=int(row["size"] or 0) if joined else None,
    )


def group(row: Mapping[str, Any]) -> Cluster | None:
    """None where the server is no member. MySQL manual 29.12.11.16, replication_group_members."""
    state = row.get("member")
    if not state:
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
