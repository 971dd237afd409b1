"""Stored password verifiers: what kind one is, whether a password fits it, and how one is made. Pure.

A verifier is no password, but whoever has one can guess offline, and some log in with it (md5). It shows
as its kind only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn, Protocol, final

from console.errors import UsageError
from console.model import ed25519, scram, sha256_crypt

POSTGRESQL = "postgresql"  # for `plugin`: PostgreSQL tells its kinds apart by the text
FINGERPRINT_BYTES = 16
FINGERPRINT_KEY = "dbdeck/fingerprint-key"  # its name in the store of secrets
KEY_BYTES = 32
MOST_BYTES = 256  # CRYPT_MAX_PASSWORD_SIZE: MySQL refuses longer ones


class Concealed(Protocol):
    """`console.secrets.Secret`, which this layer does not know."""

    def reveal(self) -> str: ...


Password = Concealed | str


class VerifierKind(StrEnum):
    """Named as the servers name them."""

    SCRAM = "scram-sha-256"
    MD5 = "md5"
    CACHING_SHA2 = "caching_sha2_password"
    SHA256 = "sha256_password"
    NATIVE = "mysql_native_password"
    ED25519 = "ed25519"
    PARSEC = "parsec"
    OLD = "mysql_old_password"
    EMPTY = "no password"  # MySQL and MariaDB: anybody logs in. PostgreSQL: nobody does by password
    EXTERNAL = "external"  # somebody else decides: the system, LDAP, PAM, Kerberos
    OTHER = "other"

    @property
    def checkable(self) -> bool:
        """Whether a password can be compared with it here."""
        return self in _CHECKS

    @property
    def makeable(self) -> bool:
        return self in _MAKERS


@final
class Verifier:
    """A verifier that shows as its kind; `reveal()` is the only way to its text. No pickle, no JSON.

    `user` is the role's name, of which md5 is salted.
    """

    __slots__ = ("_text", "kind", "user")

    def __init__(self, kind: VerifierKind, text: str, user: str = "") -> None:
        self.kind = kind
        self.user = user
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<verifier: {self.kind}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verifier) and (self.kind, self._text, self.user) == (
            other.kind,
            other._text,
            other.user,
        )

    def __hash__(self) -> int:
        return hash((self.kind, self._text, self.user))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Verifier cannot be pickled")


_NATIVE = re.compile(r"\*[0-9A-F]{40}")
_OLD = re.compile(r"[0-9a-f]{16}")
_KEY = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")
_EXTERNAL = frozenset({
    "auth_socket", "unix_socket", "auth_pam", "auth_pam_compat", "pam", "dialog", "gssapi", "named_pipe",
    "authentication_ldap_simple", "authentication_ldap_sasl", "authentication_kerberos",
    "authentication_pam", "authentication_windows", "authentication_webauthn", "authentication_fido",
    "authentication_oci", "authentication_openid_connect", "AWSAuthenticationPlugin", "mysql_no_login",
})  # fmt: skip
_SHAPES: dict[str, tuple[VerifierKind, Callable[[str], object]]] = {
    "mysql_native_password": (VerifierKind.NATIVE, _NATIVE.fullmatch),
    "caching_sha2_password": (VerifierKind.CACHING_SHA2, sha256_crypt.parse_caching),
    "sha256_password": (VerifierKind.SHA256, sha256_crypt.parse_plain),
    "ed25519": (VerifierKind.ED25519, ed25519.is_key),
    "mysql_old_password": (VerifierKind.OLD, _OLD.fullmatch),
    "parsec": (VerifierKind.PARSEC, lambda text: text.startswith("P")),
}


def parse(text: str, plugin: str, *, user: str = "") -> Verifier | None:
    """What a server keeps for an account; None when it is malformed for its plugin.

    No password fits a malformed one that is stored. Sent to PostgreSQL, it would be taken for a password
    in clear. `plugin` is MySQL's and MariaDB's word (none: mysql_native_password), or POSTGRESQL.
    """
    if plugin in _EXTERNAL:
        return Verifier(VerifierKind.EXTERNAL, text, user)
    if not text:
        return Verifier(VerifierKind.EMPTY, text, user)
    if plugin == POSTGRESQL:
        return _of_postgresql(text, user)
    kind, fits = _SHAPES.get(plugin or "mysql_native_password", (VerifierKind.OTHER, bool))
    return Verifier(kind, text, user) if fits(text) else None


def kind_of(plugin: str) -> VerifierKind:
    """What MySQL's or MariaDB's plugin keeps, where there is something; none: mysql_native_password."""
    if plugin in _EXTERNAL:
        return VerifierKind.EXTERNAL
    return _SHAPES.get(plugin or "mysql_native_password", (VerifierKind.OTHER, bool))[0]


def _of_postgresql(text: str, user: str) -> Verifier | None:
    if scram.is_md5(text):
        return Verifier(VerifierKind.MD5, text, user)
    return Verifier(VerifierKind.SCRAM, text, user) if scram.parse(text) else None


def sendable(text: str, plugin: str) -> Verifier:
    """`parse` before a statement. Raises UsageError unless the server takes it for a verifier of a kind
    that is made here: an empty one means no password on MySQL and MariaDB, a malformed one is a password
    in clear on PostgreSQL.
    """
    found = parse(text, plugin)
    if found is None or not found.kind.makeable:
        raise UsageError(f"this is no verifier for {plugin}; it was not sent", "make one with `make`")
    return found


def matches(verifier: Verifier, password: Password) -> bool:
    """Whether the password fits. Raises UsageError for a kind that is not checkable here."""
    check = _CHECKS.get(verifier.kind)
    if check is None:
        raise UsageError(f"no password can be compared with a verifier of the kind {verifier.kind}")
    return check(verifier, _revealed(password))


def make(kind: VerifierKind, password: Password, *, cost: int = 0, salt: bytes = b"") -> str:
    """A verifier for the password.

    `cost` is SCRAM's iterations or caching_sha2_password's rounds as the server has them; never less
    than the engines' least (4096, 5000). `salt` is for tests; a new one is drawn. Raises UsageError for a
    password that is empty, too long, no Unicode or has NUL in it, for a kind that is not made here, and
    for a cost that no server can keep.
    """
    maker, text = _MAKERS.get(kind), _revealed(password)
    if maker is None:
        raise UsageError(f"verifiers of the kind {kind} are not made here")
    if not text or "\0" in text or len(text.encode()) > MOST_BYTES:
        raise UsageError(
            f"a password has 1 to {MOST_BYTES} bytes and no NUL among them; no verifier was made"
        )
    made = maker(text, cost, salt)
    if parse(made, POSTGRESQL if kind is VerifierKind.SCRAM else kind) is None:
        raise UsageError(f"no {kind} verifier has this cost or salt; none was made")
    return made


def fingerprint(key: bytes, verifier: Verifier | str) -> str:
    """HMAC-SHA256 of a verifier, its first 16 bytes in hex: tells that it changed, and nothing else."""
    text = verifier if isinstance(verifier, str) else verifier.reveal()
    return hmac.digest(key, text.encode(), "sha256")[:FINGERPRINT_BYTES].hex()


def fingerprint_key(kept: Concealed) -> bytes | None:
    """The key from its entry in the store, which has it in hex; None for an entry that is no such key."""
    text = kept.reveal()
    return bytes.fromhex(text) if _KEY.fullmatch(text) else None


def key_id(key: bytes) -> str:
    """Tells two keys apart, and nothing else: fingerprints made with different ones say nothing."""
    return fingerprint(key, FINGERPRINT_KEY)[:16]


def _revealed(password: Password) -> str:
    """Raises UsageError for half a surrogate pair; Python's own error would hold the password."""
    text = password if isinstance(password, str) else password.reveal()
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UsageError("a password is made of whole Unicode characters; nothing was done with it")
    return text


# ---- the kinds -------------------------------------------------------------------------------


def _empty(_: Verifier, password: str) -> bool:
    return not password


def _scram(verifier: Verifier, password: str) -> bool:
    parts = scram.parse(verifier.reveal())
    return parts is not None and scram.matches(parts, password)


def _md5(verifier: Verifier, password: str) -> bool:
    return scram.md5_matches(verifier.reveal(), password, verifier.user)


def _caching(verifier: Verifier, password: str) -> bool:
    parts = sha256_crypt.parse_caching(verifier.reveal())
    return parts is not None and sha256_crypt.matches(parts, password)


def _sha256(verifier: Verifier, password: str) -> bool:
    parts = sha256_crypt.parse_plain(verifier.reveal())
    return parts is not None and sha256_crypt.matches(parts, password)


def _native(verifier: Verifier, password: str) -> bool:
    return hmac.compare_digest(verifier.reveal(), native(password))


def _ed25519(verifier: Verifier, password: str) -> bool:
    return hmac.compare_digest(verifier.reveal(), ed25519.make(password))


def native(password: str) -> str:
    """`*` and SHA1(SHA1(password)) in capital hex; MySQL manual, PASSWORD()."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return f"*{hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()}"


_CHECKS: dict[VerifierKind, Callable[[Verifier, str], bool]] = {
    VerifierKind.EMPTY: _empty,
    VerifierKind.SCRAM: _scram,
    VerifierKind.MD5: _md5,
    VerifierKind.CACHING_SHA2: _caching,
    VerifierKind.SHA256: _sha256,
    VerifierKind.NATIVE: _native,
    VerifierKind.ED25519: _ed25519,
}
_MAKERS: dict[VerifierKind, Callable[[str, int, bytes], str]] = {
    VerifierKind.SCRAM: lambda password, cost, salt: scram.make(
        password, max(scram.LEAST_ITERATIONS, cost), salt
    ),
    VerifierKind.CACHING_SHA2: lambda password, cost, salt: sha256_crypt.make_caching(
        password, max(sha256_crypt.LEAST_ROUNDS, cost), salt
    ),
    VerifierKind.NATIVE: lambda password, _, __: native(password),
    VerifierKind.ED25519: lambda password, _, __: ed25519.make(password),
}
