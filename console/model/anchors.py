"""Where signed checkpoints of the ledger are made and kept: what the config says of them."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

PublicKey = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="a public key, 64 hex digits")]
_SYSLOG: Final = re.compile(r"/[^\0]+|(udp|tcp)://(\[[0-9a-fA-F:]+\]|[^/:\s\0]+):\d{1,5}")


class Anchor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of them: a `file` that is only appended to, a `syslog` (/dev/log, udp://HOST:PORT, tcp://HOST:PORT),
    or the `ledger` of another database (an URL as in audit.url, with its own `password`).
    """

    file: str | None = None
    syslog: str | None = None
    ledger: str | None = None
    password: str | None = None

    @property
    def name(self) -> str:
        return f"the anchor {self.file or self.syslog or self.ledger}"


class Checkpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`key` is a reference to the signing key, only where checkpoints are made; `trusted` are public keys."""

    key: str | None = None
    trusted: tuple[PublicKey, ...] = ()
    anchors: tuple[Anchor, ...] = ()

    @property
    def syslogs(self) -> tuple[str, ...]:
        return tuple(one.syslog for one in self.anchors if one.syslog is not None)


def anchor_fault(anchor: Anchor) -> str:
    """What the type does not say; empty where nothing is wrong."""
    if sum(one is not None for one in (anchor.file, anchor.syslog, anchor.ledger)) != 1:
        return "an anchor is one of file, syslog or ledger"
    if anchor.password is not None and anchor.ledger is None:
        return "a password belongs to a ledger"
    if anchor.syslog is not None and not _SYSLOG.fullmatch(anchor.syslog):
        return f"{anchor.syslog!r} is no syslog: /dev/log, udp://HOST:PORT or tcp://HOST:PORT"
    if anchor.syslog is not None and not anchor.syslog.startswith("/"):
        return _address_fault(anchor.syslog)
    return ""


def _address_fault(address: str) -> str:
    """What a socket would not take for a name or a port."""
    host, _, port = address.partition("://")[2].rpartition(":")
    if not 0 < int(port) < 2**16:
        return f"{address!r} is no syslog: a port is 1 to 65535"
    try:
        host.encode("idna")
    except UnicodeError:
        return f"{address!r} is no syslog: no host can have that name (a label has 1 to 63 characters)"
    return ""
