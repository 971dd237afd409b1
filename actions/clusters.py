"""What a plan tells where the server shares its writes with others.

Galera runs DDL in total order isolation (wsrep_OSU_method, Galera's manual, "Schema Upgrades"): each node
runs it at the same place among all commits, which wait for it, those on other tables and nodes, too.
`lock=none` changes nothing of that. With the rolling method (RSU) it stays on the node.
"""

from __future__ import annotations

from typing import Final

from console.engine.port import Engine
from console.errors import PrivilegeMissing
from console.model.cluster import GALERA, Cluster
from console.model.target import ServerIdentity

EVERYWHERE: Final = (
    "Galera: all nodes do {} at the same time (wsrep_OSU_method = {}), and until each of them is done no "
    "commit on any table of any node of the cluster goes on"
)
HERE: Final = "Galera: {} is done on this node alone ({}); do it on each"
SETTING: Final = "{}: the other members of the cluster keep theirs; set it on each"


async def galera_of(engine: Engine, server: ServerIdentity) -> Cluster | None:
    """None where it is a node of none. Raises an Unreachable error."""
    found = await engine.cluster() if server.flavor == "mariadb" else None
    return found if found is not None and found.kind == GALERA else None


def stops_all(node: Cluster | None) -> bool:
    """DDL on this node keeps the whole cluster from committing."""
    return node is not None and not node.apart and node.ddl != "RSU"


def of_ddl(node: Cluster | None, what: str = "it") -> tuple[str, ...]:
    """`what` of the plan is DDL."""
    if node is None:
        return ()
    if stops_all(node):
        return (EVERYWHERE.format(what, node.ddl or "TOI"),)
    how = "wsrep_on = OFF" if node.apart else f"wsrep_OSU_method = {node.ddl}"
    return (HERE.format(what, how),)


async def of_setting(engine: Engine) -> tuple[str, ...]:
    try:
        found = await engine.cluster()
    except PrivilegeMissing as missing:
        return (f"whether other members of a group keep theirs is unknown: {missing.hint}",)
    return () if found is None else (SETTING.format(found.kind),)
