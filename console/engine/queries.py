"""SQL by name: one file a read, lines gated by the server's flavour and numeric version."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_GATE = re.compile(r"--:\s*(?P<gates>.+?)\s*$")
_CONDITION = re.compile(r"(?P<flavor>[a-z]+)(?:(?P<op>>=|<)(?P<version>\d+))?$")
_COMPARE: dict[str, Callable[[int, int], bool]] = {">=": operator.ge, "<": operator.lt}


@cache
def query(package: str, name: str, flavor: str, version: int) -> str:
    """The text of `console/engine/<package>/sql/<name>.sql` for one server, without its comments.

    A line that ends in `--: mysql>=80022, mariadb` is kept where one of the conditions holds.
    Raises FileNotFoundError for a name that does not exist, ValueError for a malformed gate.
    """
    source = _HERE / package / "sql" / f"{name}.sql"
    return select_lines(source.read_text(encoding="utf-8"), flavor, version)


def select_lines(text: str, flavor: str, version: int) -> str:
    kept = []
    for line in text.splitlines():
        gate = _GATE.search(line)
        if gate and not any(_holds(one.strip(), flavor, version) for one in gate["gates"].split(",")):
            continue
        bare = line[: gate.start()] if gate else line.partition("-- ")[0]
        if bare.strip() and bare.strip() != "--":
            kept.append(bare.rstrip())
    return "\n".join(kept)


def _holds(condition: str, flavor: str, version: int) -> bool:
    parsed = _CONDITION.match(condition)
    if parsed is None:
        raise ValueError(f"malformed version gate: {condition!r}")
    if parsed["flavor"] != flavor:
        return False
    return parsed["op"] is None or _COMPARE[parsed["op"]](version, int(parsed["version"]))


def shown(sql: str, args: Sequence[object]) -> str:
    """A statement as people and the ledger see it: `$1`, `%s` replaced by literals. Never sent anywhere."""
    literals = [_literal(arg) for arg in args]
    flat = " ".join(sql.split())
    if "%s" in flat:
        return flat.replace("%s", "{}").format(*literals)
    return re.sub(r"\$(\d+)", lambda match: literals[int(match[1]) - 1], flat)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def quote_ident(name: str, flavor: str) -> str:
    """An identifier for a statement. Raises ValueError for a name that no server accepts (NUL, empty).

    PostgreSQL manual 4.1.1: double quotes, doubled inside. MySQL manual 11.2: backticks, doubled
    inside; trailing spaces are not allowed there.
    """
    if not name or "\0" in name:
        raise ValueError("an identifier is neither empty nor contains NUL")
    mark = '"' if flavor == "postgresql" else "`"
    return mark + name.replace(mark, mark * 2) + mark


def quote_literal(text: str, flavor: str) -> str:
    """A string for a statement that cannot take it bound. Raises ValueError for NUL in PostgreSQL.

    PostgreSQL manual 4.1.2: quotes doubled; with a backslash the E'' form, which means the same
    whatever standard_conforming_strings is. MySQL manual 11.1.1: as sql_mode has no
    NO_BACKSLASH_ESCAPES in our sessions, backslashes are doubled as well.
    """
    if flavor == "postgresql":
        if "\0" in text:
            raise ValueError("PostgreSQL has no strings with NUL")
        quoted = "'" + text.replace("'", "''").replace("\\", "\\\\") + "'"
        return f"E{quoted}" if "\\" in text else quoted
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"
