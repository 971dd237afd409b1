"""Settings: their value for the server, and for a role or a database."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Another entry of a setting. `wins` over the asked scope, or (False) would if that had none."""

    where: str
    value: str
    wins: bool = True


class AtStart(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a setting that the server reads only when it starts.

    `pending`: what is written differs from what runs, as the server says. `seen`: `Setting.value` is what is
    written, and `next` what the next start takes; else neither can be told while something is pending.
    `source` is where the running value came from: "entry" (what SET writes), "file" (another file),
    "default", or empty where that is not known.
    """

    pending: bool
    seen: bool
    next: str | None = None
    source: str = ""


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The table or materialized view that a storage parameter is set on; `number` is its oid.

    `lock` is what changing the parameter takes, empty where that is not known; `unit` what it counts in.
    `obstacle` says why the server would not take it, or would ignore it. `leaves` are some of the
    partitions of a partitioned table, which has `parts` of them. `inherited` are the table's own
    parameters that its TOAST table uses as long as it has none itself.
    """

    number: int
    schema: str
    name: str
    kind: str
    known: bool = True
    lock: str = ""
    unit: str = ""
    obstacle: str = ""
    near: str = ""
    leaves: tuple[tuple[str, str], ...] = ()
    parts: int = 0
    inherited: tuple[str, ...] = ()


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as the server describes it.

    `value` is what new sessions of the asked role and database get by an entry of exactly that scope
    (None: there is no such entry); `server_value` is what they get otherwise. Values are text as the
    server prints them, in `unit` where it has one. `choices` are the words of an enumeration,
    `smallest` and `largest` the bounds of a number. `scopes` are where this server lets it be set, of
    "server", "role", "database", "role in database" and "table". `server_known` is False (and `server_value`
    empty) where it cannot be seen; `notes` say why. An entry keeps the text it was given ("64MB").
    `others` cover this scope for some sessions; of `more` of them only the number is told. `covered` says
    what covers the server's own value for everybody. `at_start` is there for one with `restart`, `storage`
    for one of a table.
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
    at_start: AtStart | None = None
    storage: Storage | None = None
