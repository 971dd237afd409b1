"""Which cluster a server shares its writes with: Galera, or Group Replication."""

from __future__ import annotations

from typing import Final

import msgspec

GALERA: Final = "Galera"
GROUP: Final = "Group Replication"


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """`state` in the server's words. `joined`: it takes part; where it does not, it refuses statements
    (Galera) or is left behind (Group Replication). `there` of `members` take part; Galera counts no others.
    """

    kind: str
    state: str
    joined: bool
    settled: bool = True  # neither catching up nor feeding another one
    there: int | None = None
    members: int | None = None
    majority: bool = True  # without one no commit of the group goes on
