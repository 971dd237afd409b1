"""MySQL's login path file, ~/.mylogin.cnf: an option file that mysql_config_editor made unreadable. Pure.

MySQL's client/mysql_config_editor.cc and mysys_ssl/my_default.cc: four bytes of nothing, twenty of a key,
then for each line its length (four bytes, little-endian) and the line, padded, in AES-128-ECB. The key stands
in the file: it keeps a password from a glance, and not from who can read the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_UNUSED, _KEY, _LENGTH, _BLOCK = 4, 20, 4, 16
LONGEST = 4096  # of a line, in bytes (MAX_LINE_LENGTH)


def text_of(data: bytes) -> str:
    """The option file. Raises ValueError for what is none."""
    key = bytearray(_BLOCK)
    for place, byte in enumerate(data[_UNUSED : _UNUSED + _KEY]):
        key[place % _BLOCK] ^= byte
    cipher = Cipher(algorithms.AES128(bytes(key)), modes.ECB())  # noqa: S305 - MySQL's format, not our choice
    lines = []
    for sealed in _lines(data[_UNUSED + _KEY :]):
        decryptor = cipher.decryptor()
        lines.append(_unpadded(decryptor.update(sealed) + decryptor.finalize()))
    return b"".join(lines).decode("utf-8")


def _lines(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + _LENGTH], "little")
        at += _LENGTH
        if not 0 < size <= LONGEST or size % _BLOCK or at + size > len(data):
            raise ValueError("it is no login path file")
        yield data[at : at + size]
        at += size


def _unpadded(line: bytes) -> bytes:
    count = line[-1]
    if not 0 < count <= _BLOCK or line[-count:] != bytes([count]) * count:
        raise ValueError("it is no login path file, or its key was changed")
    return line[:-count]
