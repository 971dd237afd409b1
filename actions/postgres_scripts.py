"""Scripts of pg_dump and pg_dumpall on their way into psql: without secrets, and without other folders.

Lines of data (between COPY … FROM stdin and its end) are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_COPY = re.compile(rb"^COPY .* FROM stdin;\s*$")
_END = b"\\."
# pg_dumpall writes CREATE ROLE and ALTER ROLE each in one line.
_ROLE = re.compile(rb"^(?:CREATE|ALTER) (?:ROLE|USER) ", re.IGNORECASE)
_PASSWORD = re.compile(rb"\s+(?:ENCRYPTED\s+)?PASSWORD\s+(?:E?'(?:[^']|'')*'|NULL)", re.IGNORECASE)
_SPACE = re.compile(rb"^(?:CREATE|ALTER) TABLESPACE |^(?:GRANT|REVOKE) .* ON TABLESPACE ", re.IGNORECASE)
_PLACED = re.compile(rb"\s+TABLESPACE\s*=\s*(?:\"(?:[^\"]|\"\")*\"|[\w$]+)", re.IGNORECASE)
_SPACE_SETTING = re.compile(rb"^SET default_tablespace = (?!'')", re.IGNORECASE)
_DATABASE = re.compile(rb"^CREATE DATABASE ", re.IGNORECASE)
# CREATE DATABASE as pg_dump writes it, from version 9.0 to 18.
_LOCALE = re.compile(
    r"\s+(?:LOCALE_PROVIDER|BUILTIN_LOCALE|ICU_LOCALE|ICU_RULES|LOCALE|LC_COLLATE|LC_CTYPE|COLLATION_VERSION)"
    r"\s*=\s*(?:E?'(?:[^']|'')*'|\w+)",
    re.IGNORECASE,
)


def neutral(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Roles get no password; no tablespace is made or used: its place is a folder of the live server."""
    copying = False
    for line in lines:
        if copying:
            copying = line.rstrip(b"\r\n") != _END
            yield line
        else:
            copying = line.startswith(b"COPY ") and _COPY.match(line) is not None
            yield _changed(line)


def _changed(line: bytes) -> bytes:
    if _SPACE.match(line) or _SPACE_SETTING.match(line):
        return b"\n"  # errors are told by the number of their line
    if _ROLE.match(line):
        return _PASSWORD.sub(b"", line)
    return _PLACED.sub(b"", line) if _DATABASE.match(line) else line


def without_place(statement: str) -> str:
    """CREATE DATABASE in the server's own folder."""
    return _PLACED.sub(b"", statement.encode()).decode()


def without_locale(statement: str) -> str:
    """CREATE DATABASE with a locale that every machine has."""
    return f"{_LOCALE.sub('', statement).rstrip().rstrip(';')} LC_COLLATE = 'C' LC_CTYPE = 'C'"
