"""Settings: their value for the server, and for a role or a database."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Another entry of a setting. `wins` over the asked scope, or (False) would if that had none."""

    where: str
    value: str
    wins: bool = True


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as the server describes it.

    `value` is what new sessions of the asked role and database get by an entry of exactly that scope
    (None: there is no such entry); `server_value` is what they get otherwise. Values are text as the
    server prints them, in `unit` where it has one. `choices` are the words of an enumeration,
    `smallest` and `largest` the bounds of a number. `scopes` are where this server lets it be set, of
    "server", "role", "database" and "role in database". `server_known` is False (and `server_value`
    empty) where it cannot be seen; `notes` say why. An entry keeps the text it was given ("64MB").
    `others` cover this scope for some sessions; of `more` of them only the number is told. `covered` says
    what covers the server's own value for everybody.
    """

    name: str
    value: str | None
    server_value: str
    unit: str = ""
    kind: str = "string"
    smallest: str | None = None
    largest: str | None = None
    choices: tuple[str, ...] = ()
    summary: str = ""
    scopes: tuple[str, ...] = ()
    restart: bool = False
    server_known: bool = True
    notes: tuple[str, ...] = ()
    others: tuple[Entry, ...] = ()
    more: int = 0
    covered: str = ""
