"""A runbook's SQL: read to its tokens, refused where it could be more than one read, and bound.

The read-only transaction and the monitor's lack of rights are what protects the server. What stands here says
so early, and to whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from console.runbook.document import Flavor
from console.runbook.values import ExpressionError

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^'\\]|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
      | (?P<comment>--[^\n]*|/\*(?![!M])(?:(?!\*/).)*\*/)
      | (?P<cast>::)
      | (?P<param>:[a-z][a-z0-9_]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
      | (?P<sign>[^'"`A-Za-z_])""",
    re.VERBOSE | re.DOTALL,
)
_BEGINS: Final = ("select", "with", "show", "table", "values")
_EFFECTS: Final = frozenset(
    [
        "insert",
        "update",
        "delete",
        "merge",
        "drop",
        "alter",
        "create",
        "truncate",
        "grant",
        "revoke",
        "call",
        "do",
        "lock",
        "unlock",
        "into",
        "copy",
        "vacuum",
        "set",
        "kill",
        "handler",
        "load",
        "import",
        "replace",
        "rename",
        "optimize",
        "repair",
        "flush",
        "purge",
        "reset",
        "notify",
        "listen",
        "commit",
        "rollback",
        "begin",
        "prepare",
        "execute",
        "deallocate",
        "refresh",
        "cluster",
        "reindex",
    ]
)
_FUNCTIONS: Final = re.compile(
    r"pg_(terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile|pg_promote|pg_switch_wal|pg_sleep\w*"
    r"|set_config|nextval|setval|pg_(try_)?advisory\w*|pg_(create|drop|copy)_\w+|pg_logical_\w+"
    r"|pg_replication_(slot|origin)_\w+|pg_wal_replay\w*|pg_stat_reset\w*|pg_stat_statements_reset"
    # Of the functions that list folders two tell no more than names and sizes of WAL.
    r"|pg_read_\w+|pg_ls_(?!(?:waldir|archive_statusdir)$)\w+|lo_\w+|dblink\w*|query_to_xml\w*|pg_backup_\w+"
    r"|sleep|benchmark|get_lock|release_lock|release_all_locks|load_file|sys_exec|sys_eval"
)  # fmt: skip
_LOCKS: Final = re.compile(r"\bfor\s+(no\s+key\s+)?(update|share|key)\b|\block\s+in\s+share\b")


class Bound(NamedTuple):
    """SQL with the driver's placeholders, and their values in order."""

    sql: str
    values: tuple[Any, ...]


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    """Raises ExpressionError for what is not read here: backslashes in texts, comments that execute."""
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None or match.lastgroup is None:
            raise ExpressionError(
                f"the SQL cannot be read from {sql[at : at + 20]!r} on: a text ends and has no backslash"
            )
        if match[0] == "/" and sql[at : at + 2] == "/*":
            raise ExpressionError(
                "a comment that a server executes (/*!) or that does not end has no place here"
            )
        yield match.lastgroup, match[0]
        at = match.end()


def params_in(sql: str) -> set[str]:
    """The names that it wants bound. Raises ExpressionError."""
    return {text[1:] for kind, text in _tokens(sql) if kind == "param"}


def fault(sql: str) -> str:
    """Why it is not one read; empty where nothing speaks against it."""
    try:
        tokens = [(kind, text.lower()) for kind, text in _tokens(sql) if kind != "comment"]
    except ExpressionError as error:
        return error.message
    words = [text for kind, text in tokens if kind == "word"]
    if not words or words[0] not in _BEGINS:
        return f"a read begins with {', '.join(_BEGINS)}"
    bare = "".join(text for kind, text in tokens if kind not in ("text", "quoted")).strip()
    if ";" in bare.rstrip(";"):
        return "it is more than one statement"
    if _LOCKS.search(bare):
        return "it locks the rows it reads"
    wrong = next((word for word in words if word in _EFFECTS or _FUNCTIONS.fullmatch(word)), "")
    return f"{wrong} has no place in a read; quote it where it is the name of a column" if wrong else ""


def bind(sql: str, given: Mapping[str, Any], flavor: str) -> Bound:
    """Raises ExpressionError for a name that is not given. Values never become part of the text."""
    parts: list[str] = []
    values: list[Any] = []
    numbers: dict[str, int] = {}
    for kind, text in _tokens(sql.rstrip().rstrip(";")):
        if kind != "param":
            parts.append(text if flavor == Flavor.POSTGRESQL or not given else text.replace("%", "%%"))
            continue
        name = text[1:]
        if name not in given:
            raise ExpressionError(f"the SQL wants :{name}, which `args` does not give")
        if flavor != Flavor.POSTGRESQL:
            parts.append("%s")
            values.append(given[name])
            continue
        if name not in numbers:
            values.append(given[name])
            numbers[name] = len(values)
        parts.append(f"${numbers[name]}")
    return Bound("".join(parts), tuple(values))


def variant(sql: str | Mapping[Flavor, str], flavor: str) -> str:
    """The text for a server. Raises ExpressionError where there is none."""
    if isinstance(sql, str):
        return sql
    found = next((text for name, text in sql.items() if name == flavor), None)
    if found is None:
        raise ExpressionError(f"there is no SQL for {flavor}")
    return found
