"""MySQL's caching_sha2_password and sha256_password: SHA-crypt with a salt of 20 bytes. Pure.

U. Drepper, "Unix crypt using SHA-256 and SHA-512" (0.6, 2016); crypt(3) and passlib stop at 16 bytes of
salt, MySQL (mysys/crypt_genhash_impl.cc) at 20.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from typing import NamedTuple

SALT_BYTES = 20
LEAST_ROUNDS = 5000  # caching_sha2_password_digest_rounds, and the fixed number of sha256_password
MOST_ROUNDS = 4095 * 1000  # three hex digits of thousands
_SALT_LETTERS = string.ascii_letters + string.digits + "./"
_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# The server makes salts of any seven bits but NUL and `$` (generate_user_salt).
_CACHING = re.compile(
    r"\$A\$(?P<thousands>[0-9A-Fa-f]{3})\$(?P<salt>[\x01-\x23\x25-\x7f]{20})(?P<digest>[./0-9A-Za-z]{43})"
)
_PLAIN = re.compile(r"\$5\$(?P<salt>[\x01-\x23\x25-\x7f]{20})\$(?P<digest>[./0-9A-Za-z]{43})")
# Which bytes of the digest become which letters: SHA-crypt step 22 e.
_ORDER = ((0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14),
          (15, 25, 5), (6, 16, 26), (27, 7, 17), (18, 28, 8), (9, 19, 29))  # fmt: skip


class Crypt(NamedTuple):
    """The parts of a verifier; `digest` in SHA-crypt's own letters."""

    rounds: int
    salt: bytes
    digest: str


def parse_caching(text: str) -> Crypt | None:
    """`$A$005$`, 20 bytes of salt, 43 letters. None for another shape, and for no rounds at all."""
    found = _CACHING.fullmatch(text)
    if found is None or not int(found["thousands"], 16):
        return None
    return Crypt(int(found["thousands"], 16) * 1000, found["salt"].encode(), found["digest"])


def parse_plain(text: str) -> Crypt | None:
    """sha256_password's `$5$`, 20 bytes of salt, `$`, 43 letters; always 5000 rounds."""
    found = _PLAIN.fullmatch(text)
    return found and Crypt(LEAST_ROUNDS, found["salt"].encode(), found["digest"])


def matches(verifier: Crypt, password: str) -> bool:
    found = digest(password.encode(), verifier.salt, verifier.rounds)
    return hmac.compare_digest(found.encode(), verifier.digest.encode())


def make_caching(password: str, rounds: int = LEAST_ROUNDS, salt: bytes = b"") -> str:
    """Rounds are whole thousands, rounded up. The salt is printable, so that it can stand in a statement."""
    thousands = -(-rounds // 1000)
    salt = salt or "".join(secrets.choice(_SALT_LETTERS) for _ in range(SALT_BYTES)).encode()
    return f"$A${thousands:03X}${salt.decode()}{digest(password.encode(), salt, thousands * 1000)}"


def digest(password: bytes, salt: bytes, rounds: int) -> str:
    """SHA-crypt's 43 letters."""
    size = len(password)
    alternate = hashlib.sha256(password + salt + password).digest()
    start = hashlib.sha256(password + salt + _repeated(alternate, size))
    bits = size
    while bits:
        start.update(alternate if bits & 1 else password)
        bits >>= 1
    first = start.digest()
    p = _repeated(hashlib.sha256(password * size).digest(), size)
    s = _repeated(hashlib.sha256(salt * (16 + first[0])).digest(), len(salt))
    return _encoded(_stretched(first, p, s, rounds))


def _stretched(found: bytes, p: bytes, s: bytes, rounds: int) -> bytes:
    """Step 21. What stands around the digest repeats every 42 rounds (2 · 3 · 7)."""
    around = []
    for number in range(42):
        middle = (s if number % 3 else b"") + (p if number % 7 else b"")
        around.append((p + middle, b"") if number & 1 else (b"", middle + p))
    sha256 = hashlib.sha256
    whole, rest = divmod(rounds, 42)
    for _ in range(whole):
        for before, after in around:
            found = sha256(before + found + after).digest()
    for before, after in around[:rest]:
        found = sha256(before + found + after).digest()
    return found


def _repeated(block: bytes, size: int) -> bytes:
    return (block * (size // len(block) + 1))[:size]


def _encoded(found: bytes) -> str:
    letters = [_base64(found[a] << 16 | found[b] << 8 | found[c], 4) for a, b, c in _ORDER]
    return "".join(letters) + _base64(found[31] << 8 | found[30], 3)


def _base64(value: int, letters: int) -> str:
    return "".join(_LETTERS[value >> 6 * place & 63] for place in range(letters))
