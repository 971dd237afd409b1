"""What can be said of an action before it is planned: what it locks, which rights it takes, the way back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class On(msgspec.Struct, frozen=True, kw_only=True):
    """On one engine.

    `locks`: what the effect holds on the server, and whom that keeps waiting. `rights`: what the operator's
    login needs for it beyond logging in. Both without a full stop; what a server spells is in `code`.
    """

    locks: str
    rights: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`on` has one entry for each flavor of the action. `undo`: what takes the effect back; a plan says it
    with its names. `risk`: when a plan has another risk than its action, and which.
    """

    on: Mapping[str, On]
    undo: str
    risk: str = ""
