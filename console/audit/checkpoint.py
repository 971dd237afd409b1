"""Checkpoints: the state of all chains at one moment, signed by a key that who acts cannot read.

A checkpoint says where the chains of all writers that wrote since the one before it end, and holds the
Merkle root of the seals of those rows (by writer, then by number). Each names the hash of the one before it,
so that they are a chain too. What is signed is the exact text, `dbdeck/checkpoint/1;` before it; Ed25519
(RFC 8032). Kept where the ledger's owner cannot write, it proves what the ledger was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from console.audit.chain import Head
from console.audit.record import canonical_json
from console.errors import ConfigError, LedgerFault
from console.secrets import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LABEL: Final = b"dbdeck/checkpoint/1;"
_KEY_BYTES: Final = 32


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`heads` of the writers that wrote since `previous` (the hash of the text before; empty for the first);
    `rows` of the whole ledger. Rows whose id is not above `floor` are all in it: where an incremental
    verification begins. `at` is the word of the machine that made it.
    """

    heads: Mapping[UUID, Head]
    rows: int
    ledger: UUID = UUID(int=0)
    root: bytes = b""
    floor: int = 0
    previous: bytes = b""
    at: str = ""


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The exact text of a checkpoint, who signed it (the public key, hex), and the signature (hex)."""

    text: str
    key: str
    signature: str

    @property
    def digest(self) -> bytes:
        """What the next checkpoint names as the one before it."""
        return hashlib.sha256(self.text.encode()).digest()


class _Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text's fields; hashes are hex."""

    version: int
    ledger: UUID
    heads: dict[UUID, tuple[int, str]]
    rows: int
    root: str
    floor: int
    previous: str
    at: str


def text_of(point: Checkpoint) -> str:
    """The one text of a checkpoint."""
    return canonical_json(
        {
            "version": 1,
            "ledger": point.ledger,
            "heads": {str(writer): [head.seq, head.link.hex()] for writer, head in point.heads.items()},
            "rows": point.rows,
            "root": point.root.hex(),
            "floor": point.floor,
            "previous": point.previous.hex(),
            "at": point.at,
        }
    )


def parse(text: str) -> Checkpoint:
    """The inverse of `text_of`. Raises LedgerFault."""
    try:
        found = msgspec.json.decode(text, type=_Text)
        return Checkpoint(
            heads={writer: Head(seq, bytes.fromhex(link)) for writer, (seq, link) in found.heads.items()},
            rows=found.rows,
            ledger=found.ledger,
            root=bytes.fromhex(found.root),
            floor=found.floor,
            previous=bytes.fromhex(found.previous),
            at=found.at,
        )
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise LedgerFault(f"this is no checkpoint of a ledger: {error}") from None


# ---- signatures --------------------------------------------------------------------------------


def new_key() -> tuple[Secret, str]:
    """(private, public), both hex."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Ed25519PrivateKey.generate()
    return Secret(made.private_bytes_raw().hex()), made.public_key().public_bytes_raw().hex()


def public_of(private: Secret) -> str:
    """Raises ConfigError for what is no key."""
    return _private(private).public_key().public_bytes_raw().hex()


def sign(point: Checkpoint, private: Secret) -> Signed:
    """Raises ConfigError for what is no key."""
    text = text_of(point)
    key = _private(private)
    public = key.public_key().public_bytes_raw().hex()
    return Signed(text=text, key=public, signature=key.sign(LABEL + text.encode()).hex())


def is_genuine(signed: Signed) -> bool:
    """The signature is that of the key it names."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.key))
        key.verify(bytes.fromhex(signed.signature), LABEL + signed.text.encode())
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _private(private: Secret) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        raw = bytes.fromhex(private.reveal().strip())
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ConfigError(
            "audit.checkpoints.key does not name an Ed25519 key (64 hex digits)",
            "make one with `dbdeck audit keygen FILE`, and write `key: file:FILE`",
        )
    return Ed25519PrivateKey.from_private_bytes(raw)
