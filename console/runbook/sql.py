"""A runbook's SQL: read to its tokens, refused where it could be more than one read, and bound.

The read-only transaction and the monitor's lack of rights are what protects the server. What stands here says
so early, and to whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

from console.runbook.document import Flavor
from console.runbook.values import ExpressionError

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^'\\]|'')*')
      | (?P<quoted>"(?:[^"\\]|"")*"|`(?:[^`\\]|``)*`)
      | (?P<comment>--(?:[ \t][^\n]*)?(?=\n|\Z)|/\*(?![!M+])(?:(?!\*/|/\*).)*\*/)
      | (?P<cast>::)
      | (?P<param>:[a-z][a-z0-9_]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
      | (?P<sign>[^'"`A-Za-z_$\\\x80-\U0010ffff])""",
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
# What acts beside the transaction, waits, or hides other SQL in a text. Known by name: it cannot be all.
_FUNCTIONS: Final = re.compile(
    r"pg_(terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile\w*|pg_promote|pg_switch_(wal|xlog)|pg_sleep\w*"
    r"|pg_(try_)?advisory\w*|pg_(create|drop|copy)_\w+|pg_logical_\w+|pg_sync_\w+"
    r"|pg_replication_(slot_\w+|origin_(create|drop|advance|session_\w+|xact_\w+))"
    r"|pg_(wal|xlog)_replay\w*|pg_stat_reset\w*|pg_stat_\w+_reset|pg_read_\w+|pg_stat_file"
    # Of the functions that list folders two tell no more than names and sizes of WAL.
    r"|pg_ls_(?!(?:waldir|archive_statusdir)$)\w+"
    r"|pg_file_(write|unlink|rename|read|sync|length)"
    r"|pg_logdir_ls|pg_(start|stop)_backup|pg_backup_\w+|pg_notify|pg_export_snapshot|pg_current_xact_id|txid_current"
    r"|pg_log_backend_\w+|pg_(clear|restore)_\w+|pg_buffercache_evict\w*|pg_prewarm|autoprewarm_\w+|pg_nextoid"
    r"|pg_truncate_visibility_map|pg_import_\w+|heap_force_\w+|gin_clean_\w+|brin_(de)?summarize_\w+|binary_upgrade_\w+"
    r"|set_config|nextval|setval|lastval|lo_\w+|loread|lowrite|dblink\w*|\w+_to_xml\w*|ts_stat|crosstab\w*|connectby"
    r"|xpath_table|sleep|benchmark|(get|release)_lock|release_all_locks|load_file|sys_(exec|eval|get|set)"
    r"|(master|source)_(pos|gtid)_wait|wait_(for|until)_\w+|group_replication_\w+|asynchronous_connection_\w+"
    r"|keyring_\w+|audit_log_\w+|\w*firewall_\w+|version_tokens_\w+|service_(get|release)_\w+"
)  # fmt: skip
_LOCKS: Final = re.compile(r"\bfor\s+(no\s+key\s+)?(update|share|key)\b|\block\s+in\s+share\b")
_SEQUENCE: Final = re.compile(r"\bnext\s+value\s+for\b")
_UNREAD: Final = (
    ("/*", "a comment that a server obeys (/*!, /*+), that holds another or does not end has no place here"),
    ("--", "a comment begins with `-- `: without the blank one server reads it otherwise than another"),
    ("$", "a text stands in single quotes, and a name with $ in double ones"),
    ("\\", "a backslash has no place here"),
)


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
            raise ExpressionError(_why_unread(sql, at))
        if match.lastgroup == "sign" and sql.startswith(("/*", "--"), at):
            raise ExpressionError(_why_unread(sql, at))
        yield match.lastgroup, match[0]
        at = match.end()


def _why_unread(sql: str, at: int) -> str:
    """Servers part it otherwise than we would, so that something could hide in what we take for a text."""
    why = next((why for begins, why in _UNREAD if sql.startswith(begins, at)), "")
    if not why:
        text = "a text or a quoted name ends, and has no backslash; what is not ASCII stands in quotes"
        why = f"{text}: {sql[at : at + 20]!r}"
    return f"the SQL cannot be read: {why}"


def params_in(sql: str) -> set[str]:
    """The names that it wants bound. Raises ExpressionError."""
    return {text[1:] for kind, text in _tokens(sql) if kind == "param"}


def fault(sql: str, flavor: str = "") -> str:
    """Why it is not one read; empty where nothing speaks against it. Without a flavor as on each of them."""
    try:
        tokens = [(kind, text.lower()) for kind, text in _tokens(sql) if kind != "comment"]
    except ExpressionError as error:
        return error.message
    words = [text for kind, text in tokens if kind == "word"]
    if not words or words[0] not in _BEGINS:
        return f"a read begins with {', '.join(_BEGINS)}"
    bare = "".join(text for kind, text in tokens if kind not in ("text", "quoted")).strip()
    rules = (
        (";" in bare.rstrip(";"), "it is more than one statement"),
        ("#" in bare and flavor != Flavor.POSTGRESQL, "# begins a comment in MySQL and MariaDB; write `-- `"),
        (_LOCKS.search(bare), "it locks the rows it reads"),
        (_SEQUENCE.search(bare), "it takes a value of a sequence"),
    )
    return next((told for holds, told in rules if holds), "") or _acting(words, tokens)


def _acting(words: list[str], tokens: list[tuple[str, str]]) -> str:
    wrong = next((word for word in words if word in _EFFECTS or _FUNCTIONS.fullmatch(word)), "")
    if wrong:
        return f"{wrong} has no place in a read; quote it where it is the name of a column"
    called = next((name for name in _called(tokens) if _FUNCTIONS.fullmatch(name) or not name.isascii()), "")
    return f"{called} is called, and has no place in a read" if called else ""


def _called(tokens: list[tuple[str, str]]) -> Iterator[str]:
    """Quoted names with a bracket after them."""
    solid = [(kind, text) for kind, text in tokens if kind != "sign" or not text.isspace()]
    for (kind, text), (_, after) in pairwise(solid):
        if kind == "quoted" and after == "(":
            yield text[1:-1].replace(text[0] * 2, text[0])


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
