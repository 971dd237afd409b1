"""Merkle trees of RFC 6962 §2.1, pure: one root over many seals, and the path that proves one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

EMPTY = hashlib.sha256(b"").digest()


class Sibling(NamedTuple):
    """One step of a path: the hash beside, and whether it stands to the left."""

    left: bool
    hash: bytes


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Of the leaves' data, in order; EMPTY for none."""
    level = [leaf(one) for one in leaves]
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else EMPTY


def path(leaves: Sequence[bytes], index: int) -> list[Sibling]:
    """From leaf `index` up to the root."""
    level = [leaf(one) for one in leaves]
    found = []
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            found.append(Sibling(beside < index, level[beside]))
        level, index = _above(level), index // 2
    return found


def climb(data: bytes, way: Sequence[Sibling]) -> bytes:
    """The root that a leaf's data and its path lead to."""
    at = leaf(data)
    for one in way:
        at = node(one.hash, at) if one.left else node(at, one.hash)
    return at


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The level above; one without a neighbour goes up as it is, which gives the tree of the RFC."""
    pairs = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return [*pairs, level[-1]] if len(level) % 2 else pairs
