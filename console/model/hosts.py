"""Which account MySQL or MariaDB takes for a client: patterns of hosts, the most specific first. Pure.

MySQL manual 8.2.4 and 8.2.6, "Access Control, Stage 1"; MariaDB "CREATE USER", "Account Names".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

Pair = tuple[str, str]  # user, host pattern


def chosen(accounts: Iterable[Pair], user: str, client: str) -> Pair | None:
    """The account that a client from that host (a name, an address, or localhost) logs in as.

    The host decides before the user does, and a name before the anonymous one.
    """
    fits = [one for one in accounts if one[0] in (user, "") and covers(one[1], client)]
    return min(fits, key=lambda one: (order(one[1]), one[0] == ""), default=None)


def covers(pattern: str, client: str) -> bool:
    """`%` and `_` are wildcards; `10.0.0.0/255.0.0.0` and `10.0.0.0/8` are networks; empty is `%`."""
    if "/" in pattern:
        return _in_network(pattern, client)
    return _regex(pattern or "%").fullmatch(client) is not None


def order(pattern: str) -> tuple[int, int, str]:
    """The smaller is tried first: literal hosts, networks by their length, patterns by where their first
    wildcard stands, `%`, and the empty one last.
    """
    if not pattern:
        return 4, 0, pattern
    if pattern == "%":
        return 3, 0, pattern
    if "/" in pattern:
        network = _network(pattern)
        return 1, -network.prefixlen if network else 0, pattern
    wild = re.search(r"[%_]", pattern)
    return (2, -wild.start(), pattern) if wild else (0, 0, pattern)


def inside(inner: str, outer: str) -> bool:
    """Whether whoever fits `inner` surely fits `outer` too."""
    if outer in ("%", "") or inner == outer:
        return True
    if "/" not in inner and not re.search(r"[%_]", inner):
        return covers(outer, inner)
    if outer.endswith("%") and not re.search(r"[%_/]", outer[:-1]):
        return inner.startswith(outer[:-1]) and "/" not in inner
    return False


def _in_network(pattern: str, client: str) -> bool:
    network = _network(pattern)
    try:
        return network is not None and ipaddress.ip_address(client) in network
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _network(pattern: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\\.|[%_])", pattern)
    text = "".join(_LIKE.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


_LIKE = {"%": ".*", "_": "."}
