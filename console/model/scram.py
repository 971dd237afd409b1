"""PostgreSQL's verifiers: SCRAM-SHA-256 (RFC 5802, RFC 7677) and the old md5. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from console.model.saslprep import prepared

LEAST_ITERATIONS = 4096  # RFC 7677, 4, and scram_iterations' default
MOST_ITERATIONS = 2**31 - 1  # the server keeps them in an int
SALT_BYTES = 16  # SCRAM_DEFAULT_SALT_LEN
_KEY_BYTES = 32
_SHAPE = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[1-9][0-9]{0,9}):(?P<salt>[A-Za-z0-9+/]+={0,2})"
    r"\$(?P<stored>[A-Za-z0-9+/]{43}=):(?P<server>[A-Za-z0-9+/]{43}=)"
)
_MD5 = re.compile(r"md5[0-9a-f]{32}")


class Scram(NamedTuple):
    """The parts of a verifier; keys are 32 bytes."""

    iterations: int
    salt: bytes
    stored: bytes
    server: bytes


def parse(text: str) -> Scram | None:
    """None for what the server would not take for a verifier, but for a password in clear."""
    found = _SHAPE.fullmatch(text)
    if found is None or int(found["iterations"]) > MOST_ITERATIONS:
        return None
    try:
        salt, stored, server = (_decoded(found[part]) for part in ("salt", "stored", "server"))
    except binascii.Error:
        return None
    if not salt or (len(stored), len(server)) != (_KEY_BYTES, _KEY_BYTES):
        return None
    return Scram(int(found["iterations"]), salt, stored, server)


def matches(verifier: Scram, password: str) -> bool:
    """By the server's key, as `scram_verify_plain_password` does."""
    found = _keys(password, verifier.salt, verifier.iterations)
    return hmac.compare_digest(found[1], verifier.server)


def make(password: str, iterations: int = LEAST_ITERATIONS, salt: bytes = b"") -> str:
    """A verifier with a new salt, unless one is given."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    stored, server = _keys(password, salt, iterations)
    words = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{words[0]}${words[1]}:{words[2]}"


def is_md5(text: str) -> bool:
    return _MD5.fullmatch(text) is not None


def md5_matches(text: str, password: str, user: str) -> bool:
    """`md5` and the hash of password and role name (pg_md5_encrypt); not prepared by SASLprep."""
    found = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return hmac.compare_digest(f"md5{found}", text)


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey of RFC 5802, 3."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
