"""Is a ledger on PostgreSQL what dbdeck made, and may only its owner change it?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from console.audit.definitions import Part, compared, digest, earlier, postgres_functions, postgres_traits
from console.audit.table.port import NotTaken, hint_of, sql
from console.audit.table.postgres import LOST, Connection, PostgresChannel
from console.audit.url import ServerAddress
from console.errors import AuditUnavailable
from console.secrets import Secret

_REMEDY: Final = "`dbdeck audit init` as the installer makes it again; then `audit verify`"
_TAKEN_BACK: Final = (
    "`dbdeck audit init` as a superuser, or as its owner where that may make roles; then `audit verify`"
)
_REVOKED: Final = "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dbdeck_audit"
_TOLD: Final = 3  # of what an owner has
# pg_trigger.tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
_DENY: Final = "dbdeck_audit.deny"
_TRIGGERS: Final = {
    f"{table}.{name}": f"{_DENY} {bits}"
    for table in ("entry", "ledger")
    for name, bits in (("no_change", 1 + 2 + 8 + 16), ("no_truncate", 2 + 32))
}
_INDEXES: Final = {
    "entry_pkey": "",
    "entry_one_key": "",
    "entry_writer_seq": "",
    "entry_writer_prev": "",
    "entry_one_intent": "(kind = 'intent'::text)",
    "entry_one_outcome": "(kind = 'outcome'::text)",
}
# `audit init` makes the two last ones where none has their name; the others go with the table.
_INDEX: Final = "ALTER TABLE dbdeck_audit.entry DROP CONSTRAINT IF EXISTS {0}, ADD CONSTRAINT {0} {1};"
_MAKES: Final = "DROP INDEX IF EXISTS dbdeck_audit.{0}; `dbdeck audit init` as the installer makes it again"
_INDEX_REMEDIES: Final = {
    "entry_pkey": _INDEX.format("entry_pkey", "PRIMARY KEY (id)"),
    "entry_one_key": _INDEX.format("entry_one_key", "UNIQUE (idempotency_key)"),
    "entry_writer_seq": _INDEX.format("entry_writer_seq", "UNIQUE (writer, seq)"),
    "entry_writer_prev": _INDEX.format("entry_writer_prev", "UNIQUE (writer, prev)"),
    "entry_one_intent": _MAKES.format("entry_one_intent"),
    "entry_one_outcome": _MAKES.format("entry_one_outcome"),
}


async def inspect_postgres(address: ServerAddress, password: Secret | None, deadline: float) -> list[Part]:
    """Raises AuditUnavailable."""
    channel = PostgresChannel(address, password, deadline)
    connection: Connection | None = None
    try:
        connection = await channel.dial()
        rows = await connection.fetch(sql("postgres_inspect.sql"))
        return judged([*rows, *await connection.fetch(sql("postgres_members.sql"))])
    except (NotTaken, asyncpg.PostgresError, *LOST) as error:
        message = f"the ledger {address.sink} cannot be looked at: {error}"
        raise AuditUnavailable(message, hint_of(error)) from None
    finally:
        if connection is not None:
            await channel.hang_up(connection)


def judged(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Rows of postgres_inspect.sql and postgres_members.sql."""
    wanted = {
        "function": postgres_functions(sql("postgres.sql")),
        "trigger": {name: digest(text) for name, text in _TRIGGERS.items()},
        "index": {name: digest(text) for name, text in _INDEXES.items()},
    }
    before = earlier(sql("earlier.json"), "postgresql")
    parts: list[Part] = []
    for kind, made in wanted.items():
        found = {row["name"]: digest(row["text"] or "") for row in rows if row["kind"] == kind}
        wrong = {row["name"]: row["wrong"] for row in rows if row["kind"] == kind and row["wrong"]}
        wrong |= _altered(rows) if kind == "function" else {}
        told = compared(kind, made, found, _REMEDY, before.get(kind, {}))
        parts += [_remedied(_with(part, wrong.get(part.name, ""))) for part in told]
    others = [part for row in rows if (part := _other(row)) is not None]
    return [*parts, *others, *_owners(rows, wanted["function"])]


def _altered(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Functions with the text that dbdeck gave them, and other rights or another behaviour."""
    made = postgres_traits(sql("postgres.sql"))
    return {
        name: f"it is {row['text']}, and was made {made[name]}"
        for row in rows
        if row["kind"] == "traits" and (name := row["name"]) in made and row["text"] != made[name]
    }


def _owners(rows: Sequence[Mapping[str, Any]], functions: Collection[str]) -> Iterator[Part]:
    """Those that are not the one that dbdeck makes, each with all that is its own; a function that dbdeck did
    not make is told as such, whoever has it.
    """
    known = {f"function dbdeck_audit.{name}" for name in functions}
    owned: dict[str, list[str]] = {}
    for row in rows:
        text = row["text"]
        if row["kind"] == "owner" and text and (text in known or not text.startswith("function ")):
            owned.setdefault(row["name"], []).append(text)
    for name, texts in owned.items():
        rest = f" and {len(texts) - _TOLD} more" if len(texts) > _TOLD else ""
        detail = f"may change as its owner: {', '.join(sorted(texts, reverse=True)[:_TOLD])}{rest}"
        yield Part(kind="owner", name=name, state="foreign", detail=detail, remedy=_TAKEN_BACK)


def _with(part: Part, wrong: str) -> Part:
    if not wrong or part.is_wrong:
        return part
    return Part(
        kind=part.kind, name=part.name, state="changed", digest=part.digest, detail=wrong, remedy=_REMEDY
    )


def _remedied(part: Part) -> Part:
    remedy = _INDEX_REMEDIES.get(part.name, "") if part.kind == "index" and part.is_wrong else ""
    return msgspec.structs.replace(part, remedy=f"{remedy} then `audit verify`") if remedy else part


def _other(row: Mapping[str, Any]) -> Part | None:
    """What need not be there at all."""
    kind, name, text, wrong = row["kind"], row["name"], row["text"], row["wrong"]
    if kind in ("owner", "table"):
        return None if text else _ours(kind, name, wrong)
    detail, remedy = {
        "rule": (wrong, "look at it, and drop it"),
        "policy": (wrong, "look at it, and drop it"),
        "right": (text, f"REVOKE {text} FROM {name};"),
        "superuser": (
            "is a superuser, and may change everything",
            f"name another login to `dbdeck audit init` and in audit.url; {_REVOKED} FROM {name};",
        ),
        "member": (text, wrong),
    }.get(kind, ("", ""))
    return Part(kind=kind, name=name, state="foreign", detail=detail, remedy=remedy) if remedy else None


def _ours(kind: str, name: str, wrong: str) -> Part:
    """Of what has to be there: whether nobody is its owner, and whether it lasts."""
    remedy = (
        f"ALTER ROLE {name} NOLOGIN;" if kind == "owner" else f"ALTER TABLE dbdeck_audit.{name} SET LOGGED;"
    )
    return Part(kind=kind, name=name, state="changed" if wrong else "as made", detail=wrong,
                remedy=remedy if wrong else "")  # fmt: skip
