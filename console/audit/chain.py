"""The hash chain, pure: how rows are linked and sealed, and how a ledger is verified.

Formats (the SQL of every sink computes the same; tests hold golden values):

    field(x) = decimal length of x in UTF-8 bytes, ":", x, ","        an absent x is empty
    link     = sha256("dbdeck/link/1;" field(prev) field(writer) field(seq) field(kind)
                      field(action_id) field(parent) field(idempotency_key) field(body_hash))
    seal     = sha256("dbdeck/seal/1;" field(link) field(witness) field(at) field(db_user)
                      field(peer))

Hashes inside are lower-case hex, uuids their 36 characters, `at` whole µs since 1970 UTC. The
length prefix keeps two lists of fields from giving one text. `link` needs nothing from a server,
so that a writer can go on in its journal; `seal` is the server's word on time, login and address,
and covers the rest through the link. `witness` is the newest seal of any writer that the row saw:
it ties the chains of all writers together without a lock that one hung laptop could hold.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from console.audit.record import Row

START: Final = b""  # `prev` of a writer's first row, `witness` of a ledger's first
_LINK: Final = "dbdeck/link/1;"
_SEAL: Final = "dbdeck/seal/1;"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Head(NamedTuple):
    """The end of one writer's chain; a new writer stands at (0, START)."""

    seq: int
    link: bytes


class Named(Protocol):
    """What a row says of itself, beside its body."""

    @property
    def writer(self) -> UUID | str: ...
    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def action_id(self) -> UUID: ...
    @property
    def parent(self) -> UUID | None: ...
    @property
    def idempotency_key(self) -> str | None: ...


def microseconds(at: datetime) -> int:
    """Whole µs since 1970 UTC; integers, because a float of this size has no exact µs."""
    return (at - _EPOCH) // _MICROSECOND


def body_hash(body: str) -> bytes:
    return hashlib.sha256(body.encode()).digest()


def link(row: Row) -> bytes:
    """32 bytes over the row's own fields and its predecessor's link; the row's `link` is not read."""
    return link_of(row, row.prev.hex(), row.body_hash.hex())


def link_of(row: Named, prev: str, body_hash: str) -> bytes:
    """Of a row whose hashes are text, as in a journal."""
    # A third of the time of str().
    writer, action, parent = msgspec.to_builtins((row.writer, row.action_id, row.parent or ""))
    seq, kind, key = str(row.seq), row.kind, row.idempotency_key or ""
    # _digest of the same, in half the time.
    whole = (
        f"{_LINK}{len(prev)}:{prev},{len(writer)}:{writer},{len(seq)}:{seq},{len(kind)}:{kind},"
        f"{len(action)}:{action},{len(parent)}:{parent},{len(key)}:{key},{len(body_hash)}:{body_hash},"
    )
    if whole.isascii():
        return hashlib.sha256(whole.encode()).digest()
    return _digest(_LINK, prev, writer, seq, kind, action, parent, key, body_hash)


def seal(of: bytes, witness: bytes, at: datetime, db_user: str, peer: str) -> bytes:
    """32 bytes; `of` is the row's link."""
    link, seen, when = of.hex(), witness.hex(), str(microseconds(at))
    whole = (
        f"{_SEAL}{len(link)}:{link},{len(seen)}:{seen},{len(when)}:{when},{len(db_user)}:{db_user},"
        f"{len(peer)}:{peer},"
    )
    if whole.isascii():
        return hashlib.sha256(whole.encode()).digest()
    return _digest(_SEAL, link, seen, when, db_user, peer)


def _digest(label: str, *fields: str) -> bytes:
    """Of fields that may be anything but ASCII, which few rows of a ledger have here."""
    whole = label + "".join([f"{len(text.encode())}:{text}," for text in fields])
    return hashlib.sha256(whole.encode()).digest()
