"""The vault's file as bytes: a header in clear, the sealed entries, a checksum. Pure; no file is touched.

    dbdeck vault 1
    {"at":…,"check":…,"generation":7,"id":…,"kdf":{"n":65536,"p":1,"r":8,"salt":…},"passing":false}
    nonce and AES-256-GCM of the entries, with all that stands before as associated data
    SHA-256 of everything before

The master becomes a root key by scrypt (RFC 7914), and that becomes, by HMAC-SHA-256 over a label, a key
for the list of entries, a key for the values, and the `check` that tells a wrong master from a changed
file. The list holds names and sealed values: who lists the names has opened no value. A value is bound
to its vault and to its name, so that it cannot be moved to another one.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, NoReturn, final

import msgspec

from console.secrets import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"dbdeck vault 1\n"
LARGEST: Final = 16 * 1024 * 1024
_NONCE, _SUM, _SALT = 12, 32, 32

Name = tuple[str, str]
Entries = Mapping[Name, bytes]
"""(service, name) -> sealed value."""


class DamagedError(ValueError):
    """The bytes are no whole vault; the text says why and holds nothing of them."""


class Kdf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """scrypt's cost: 128 * r * n bytes of memory. The bounds keep a forged header from eating the machine."""

    salt: bytes
    n: Annotated[int, msgspec.Meta(ge=2, le=2**20)] = 2**16
    r: Annotated[int, msgspec.Meta(ge=1, le=16)] = 8
    p: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in clear. `passing` marks a state that held, or just lost, a canary: it is not kept."""

    id: str
    generation: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    at: datetime
    kdf: Kdf
    check: bytes
    passing: bool = False


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file, not opened. `head` is the magic and the header as they were written."""

    header: Header
    head: bytes
    body: bytes


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    service: str
    name: str
    value: bytes


@final
class Key:
    """What a master opens: shows as ***, like a Secret, and cannot be pickled."""

    __slots__ = ("_root", "kdf")

    def __init__(self, root: bytes, kdf: Kdf) -> None:
        self._root = root
        self.kdf = kdf

    def fits(self, header: Header) -> bool:
        """Made by the same scrypt, and right."""
        return self.kdf == header.kdf and hmac.compare_digest(self.check, header.check)

    @property
    def check(self) -> bytes:
        return self._part(b"check")[:16]

    def cipher(self, label: bytes) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._part(label))

    def _part(self, label: bytes) -> bytes:
        return hmac.digest(self._root, b"dbdeck vault 1 " + label, "sha256")

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Key cannot be pickled")


def new_kdf(n: int) -> Kdf:
    return Kdf(salt=os.urandom(_SALT), n=n)


def derive(master: Secret, kdf: Kdf) -> Key:
    """Takes half a second and 64 MiB with the usual cost. Accents typed in two ways are one master."""
    return Key(
        hashlib.scrypt(
            unicodedata.normalize("NFC", master.reveal()).encode(),
            salt=kdf.salt,
            n=kdf.n,
            r=kdf.r,
            p=kdf.p,
            maxmem=128 * kdf.r * (kdf.n + kdf.p) + 2**20,
            dklen=32,
        ),
        kdf,
    )


def parse(raw: bytes) -> Sealed:
    """Raises DamagedError for what is torn, no vault, or of a later version."""
    if not raw.startswith(MAGIC):
        raise DamagedError("it does not begin like a vault of this version")
    content, checksum = raw[:-_SUM], raw[-_SUM:]
    if not hmac.compare_digest(hashlib.sha256(content).digest(), checksum):
        raise DamagedError("its checksum does not fit: it is torn or was changed")
    line, newline, body = content[len(MAGIC) :].partition(b"\n")
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise DamagedError("its header cannot be read") from None
    if header.kdf.n & (header.kdf.n - 1) or not newline:
        raise DamagedError("its header makes no sense")
    return Sealed(header=header, head=MAGIC + line + newline, body=body)


def seal(header: Header, entries: Entries, key: Key) -> bytes:
    """The whole file."""
    head = MAGIC + msgspec.json.encode(header, order="sorted") + b"\n"
    listed = [_Entry(service, name, value) for (service, name), value in sorted(entries.items())]
    content = head + _encrypt(key, b"entries", msgspec.msgpack.encode(listed), head)
    return content + hashlib.sha256(content).digest()


def open_entries(sealed: Sealed, key: Key) -> dict[Name, bytes]:
    """Names and values that stay sealed. Raises DamagedError where a bit of the file was changed."""
    with _damage("it was changed: it is sealed with another key than its header says"):
        listed = _decrypt(key, b"entries", sealed.body, sealed.head)
        found = msgspec.msgpack.decode(listed, type=list[_Entry])
    return {(one.service, one.name): one.value for one in found}


def seal_value(header: Header, key: Key, name: Name, value: Secret) -> bytes:
    return _encrypt(key, b"values", value.reveal().encode("utf-8", "surrogatepass"), _bound(header, name))


def open_value(header: Header, key: Key, name: Name, sealed: bytes) -> Secret:
    """Raises DamagedError for a value that was moved or changed."""
    with _damage("an entry was changed"):
        clear = _decrypt(key, b"values", sealed, _bound(header, name))
        return Secret(clear.decode("utf-8", "surrogatepass"))


def _bound(header: Header, name: Name) -> bytes:
    """What never changes while the vault has its master, and the name; JSON keeps the two names apart."""
    return msgspec.json.encode(("dbdeck vault 1 entry", header.id, header.kdf, header.check, name))


def _encrypt(key: Key, label: bytes, clear: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.cipher(label).encrypt(nonce, clear, bound)


def _decrypt(key: Key, label: bytes, sealed: bytes, bound: bytes) -> bytes:
    return key.cipher(label).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)


@contextlib.contextmanager
def _damage(why: str) -> Iterator[None]:
    from cryptography.exceptions import InvalidTag

    try:
        yield
    except (InvalidTag, ValueError, msgspec.MsgspecError):
        raise DamagedError(why) from None
