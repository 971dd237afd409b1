"""Names of XA transactions: the same one is written in several ways, and becomes part of a statement."""

from __future__ import annotations

import re

import msgspec

from console.errors import UsageError

# An xid as XA RECOVER prints it and XA ROLLBACK takes it: 'gtrid'[,'bqual'[,format]], parts maybe in hex.
_PART = r"(?:[xX]'[0-9A-Fa-f]*'|0[xX][0-9A-Fa-f]+|'[^'\\]*')"
_XID = re.compile(rf"({_PART})(?:\s*,\s*({_PART})(?:\s*,\s*(\d{{1,10}}))?)?")


class Xid(msgspec.Struct, frozen=True):
    """One XA transaction, whichever way its parts are written."""

    gtrid: bytes
    bqual: bytes = b""
    format: int = 1

    @property
    def literal(self) -> str:
        return f"X'{self.gtrid.hex().upper()}',X'{self.bqual.hex().upper()}',{self.format}"


def xid(text: str) -> Xid:
    """Raises UsageError for what is no XA literal: it becomes part of a statement."""
    found = _XID.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is no xid; nothing was executed",
            "copy it from `dbdeck show transactions` or XA RECOVER, like X'6731',X'',1",
        )
    return _xid(found)


def xids(text: str) -> list[Xid]:
    """Every xid in a text: where a server does not tell which of them a transaction is, all are named."""
    return [_xid(found) for found in _XID.finditer(text)]


def _xid(found: re.Match[str]) -> Xid:
    return Xid(_bytes(found[1]), _bytes(found[2] or "''"), int(found[3] or 1))


def _bytes(part: str) -> bytes:
    if part[:2].lower() == "0x":
        return bytes.fromhex(part[2:])
    if part[0] in "xX":
        return bytes.fromhex(part[2:-1])
    return part[1:-1].encode()
