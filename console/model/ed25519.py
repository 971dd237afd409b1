"""MariaDB's ed25519: the verifier is a public key, made of the password itself. Pure.

plugin/auth_ed25519/ref10/keypair.c: the scalar is the clamped first half of SHA-512(password), where
RFC 8032 hashes a random seed of 32 bytes. So for passwords of just 32 bytes it is an Ed25519 public key,
and for others no library makes it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_SHAPE = re.compile(r"[A-Za-z0-9+/]{43}")
Point = tuple[int, int, int, int]  # extended homogeneous coordinates X, Y, Z, T (RFC 8032, 5.1.4)


def is_key(text: str) -> bool:
    """43 letters of base64: a key of 32 bytes without its padding."""
    if _SHAPE.fullmatch(text) is None:
        return False
    try:
        found = base64.b64decode(f"{text}=", validate=True)
    except binascii.Error:
        return False
    return base64.b64encode(found).decode() == f"{text}="


def make(password: str) -> str:
    return base64.b64encode(_compressed(_multiple(_scalar(password.encode())))).decode().rstrip("=")


def _scalar(password: bytes) -> int:
    """RFC 8032, 5.1.5, step 2."""
    half = int.from_bytes(hashlib.sha512(password).digest()[:32], "little")
    return half & (1 << 254) - 8 | 1 << 254


def _added(one: Point, other: Point) -> Point:
    """RFC 8032, 5.1.4."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _base() -> Point:
    """The point with y = 4/5 and an even x; RFC 8032, 5.1."""
    y = 4 * pow(5, -1, _P) % _P
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    x = _P - x if x & 1 else x
    return x, y, 1, x * y % _P


def _doubles() -> tuple[Point, ...]:
    """1, 2, 4 … 2^254 times the base: a multiple is then a sum of about half of them."""
    found = [_base()]
    for _ in range(254):
        found.append(_added(found[-1], found[-1]))
    return tuple(found)


_DOUBLES = _doubles()


def _multiple(scalar: int) -> Point:
    """Not in constant time: it runs on the machine of whoever knows the password."""
    found: Point = (0, 1, 1, 0)
    for place, point in enumerate(_DOUBLES):
        if scalar >> place & 1:
            found = _added(found, point)
    return found


def _compressed(point: Point) -> bytes:
    """RFC 8032, 5.1.2."""
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
