"""Which cluster a server shares its writes with: Galera, or Group Replication."""

from __future__ import annotations

from typing import Final

import msgspec

GALERA: Final = "Galera"
GROUP: Final = "Group Replication"


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """`state` in the server's words. `joined`: it takes part; where it does not, Galera refuses statements,
    and a member of a group is left behind. `there` of `members` take part; Galera counts no others.

    Of Galera: `refusing` are the clients that `wsrep_reject_queries` turns away, `apart`: its writes reach no
    other node (wsrep_on), `ddl` is `wsrep_OSU_method`.
    """

    kind: str
    state: str
    joined: bool
    settled: bool = True  # neither catching up nor feeding another one
    there: int | None = None
    members: int | None = None
    majority: bool = True  # without one no commit of the group goes on
    refusing: str = ""
    apart: bool = False
    ddl: str = ""
