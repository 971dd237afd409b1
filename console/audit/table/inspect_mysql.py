"""Is a ledger on MySQL or MariaDB what dbdeck made, and may only its owner change it?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymysql.constants import ER
from pymysql.err import MySQLError

from console.audit.definitions import ASK, Part, compared, digest, earlier, mysql_objects
from console.audit.table.mysql import MysqlChannel, words
from console.audit.table.port import NotTaken, hint_of, sql, statements
from console.audit.url import ServerAddress
from console.errors import AuditUnavailable
from console.secrets import Secret
from console.wire.mysql import Connection

_AGAIN: Final = "`dbdeck audit init` as the installer makes it again; then `audit verify`"
_QUOTED: Final = re.compile(r"""'(?:[^'\\]|\\.|'')*'""")
_OWNER: Final = "dbdeck_audit_owner@localhost"
_NO_ACCOUNT: Final = (ER.CANNOT_USER, ER.PASSWORD_NO_MATCH)  # as MySQL says it, and MariaDB
_INDEX: Final = (
    "look at why it is gone; make it again as the table of a new ledger has it, then `audit verify`"
)
_INDEXES: Final = {
    "PRIMARY": "id",
    "entry_one_key": "idempotency_key",
    "entry_writer_seq": "writer,seq",
    "entry_writer_prev": "writer,prev",
    "entry_one_intent": "intent_of",
    "entry_one_outcome": "outcome_of",
}
# With which right on the whole schema a login sees all of a kind.
_SEEING: Final = {"procedure": "EXECUTE", "trigger": "TRIGGER", "index": "SELECT"}


async def inspect_mysql(address: ServerAddress, password: Secret | None, deadline: float) -> list[Part]:
    """Raises AuditUnavailable."""
    channel = MysqlChannel(address, password, deadline)
    connection: Connection | None = None
    try:
        connection = await channel.dial()
        parts = judged((await connection.fetch(sql("mysql_inspect.sql"))).dicts())
        return [*parts, await _owner(connection)]
    except (NotTaken, MySQLError) as error:
        message = f"the ledger {address.sink} cannot be looked at: {words(error)}"
        raise AuditUnavailable(message, hint_of(error)) from None
    finally:
        if connection is not None:
            await connection.aclose()


async def _owner(connection: Connection) -> Part:
    """Whether somebody can log in as it, who may change everything."""
    try:
        ((text,),) = (await connection.fetch(sql("mysql_owner.sql"))).rows
    except MySQLError as error:
        gone = Part(kind="owner", name=_OWNER, state="missing", remedy=_AGAIN)
        return gone if error.args and error.args[0] in _NO_ACCOUNT else _hidden(gone)
    locked = "ACCOUNT LOCK" in _QUOTED.sub("", str(text))  # a comment of the account may say so, too
    return Part(kind="owner", name=_OWNER, state="as made" if locked else "changed",
                detail="" if locked else "somebody can log in as it",
                remedy="" if locked else f"ALTER USER {_OWNER} ACCOUNT LOCK;")  # fmt: skip


def judged(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Rows of mysql_inspect.sql."""
    made = mysql_objects(statements("mysql.sql"))
    parts: list[Part] = []
    for kind in ("procedure", "trigger"):
        wanted = {name: text for (of, name), text in made.items() if of == kind}
        parts += _of(kind, wanted, rows, _AGAIN)
    parts += _of("index", {name: digest(text) for name, text in _INDEXES.items()}, rows, _INDEX)
    return [*parts, *(part for row in rows if (part := _other(row)) is not None)]


def _of(kind: str, wanted: Mapping[str, str], rows: Sequence[Mapping[str, Any]], remedy: str) -> list[Part]:
    mine = [row for row in rows if row["kind"] == kind]
    found = {row["name"]: None if row["text"] is None else digest(row["text"]) for row in mine}
    wrong = {row["name"]: row["wrong"] for row in mine if row["wrong"]}
    before = earlier(sql("earlier.json"), "mysql")
    parts = [
        part if part.is_wrong or part.name not in wrong else
        Part(kind=kind, name=part.name, state="changed", detail=wrong[part.name], remedy=_AGAIN)
        for part in compared(kind, wanted, found, remedy, before.get(kind, {}))
    ]  # fmt: skip
    return (
        parts if _sees(kind, rows) else [_hidden(part) if part.state == "missing" else part for part in parts]
    )


def _sees(kind: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether what it does not see of a kind is gone; who sees a table sees its indexes."""
    if kind == "index" and any(row["kind"] == "engine" and row["name"] == "entry" for row in rows):
        return True
    return any(row["kind"] == "sees" and row["name"] == _SEEING[kind] for row in rows)


def _hidden(part: Part) -> Part:
    return Part(
        kind=part.kind, name=part.name, state="unknown", detail="this login may not see it", remedy=ASK
    )


def _other(row: Mapping[str, Any]) -> Part | None:
    kind, name, text, wrong = row["kind"], row["name"], row["text"], row["wrong"]
    if kind == "right":
        return Part(kind=kind, name=name, state="foreign", detail=text, remedy=f"REVOKE {text} FROM {name};")
    if kind == "engine":
        return Part(kind=kind, name=name, state="changed" if wrong else "as made", detail=text,
                    remedy=f"ALTER TABLE {name} ENGINE = InnoDB;" if wrong else "")  # fmt: skip
    return None
