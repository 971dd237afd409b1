r"""MySQL's and MariaDB's option files: what stands in a section, and a password put into one. Pure.

MySQL manual 6.2.2.2, "Using Option Files", and mysys/my_default.c: values may stand in quotes, `#` begins a
comment outside of them, \b \t \n \r \s \\ \" \' are escapes, and !include and !includedir name other files.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from console.errors import UsageError

_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'"}
_WRITTEN = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b"}
_QUOTED = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1""")
_INCLUDE = re.compile(r"!(include|includedir)\s+(\S.*)")
LONGEST = 1024  # of a line, with room to spare: the programs read 4096 bytes


DEEPEST = 10  # files within files (max_recursion_level of my_default.c)


class _Line(NamedTuple):
    """`option` is empty where the line sets none."""

    raw: str
    section: str
    option: str = ""
    value: str = ""
    header: bool = False


def options(text: str, section: str) -> dict[str, str]:
    """The options of a section; of several values the last counts."""
    return {one.option: one.value for one in _lines(text) if one.option and one.section == section}


def with_included(text: str, read: Callable[[str, str], Iterable[str]], depth: int = 0) -> str:
    """The text with those of its !include and !includedir in their places; `read` gives the texts for such a
    word and what it names. A file that is included begins in no section, and ends none.
    """
    section, parts = "", []
    for line in _lines(text):
        section = line.section
        found = _INCLUDE.fullmatch(line.raw.strip())
        if found is None:
            parts.append(line.raw)
            continue
        inner = read(found[1], found[2]) if depth < DEEPEST else ()
        parts += [f"[]\n{with_included(one, read, depth + 1)}\n" for one in inner]
        parts.append(f"[{section}]\n")
    return "".join(parts)


def sections(text: str) -> tuple[str, ...]:
    """Each once, in their order."""
    return tuple(dict.fromkeys(one.section for one in _lines(text) if one.header and one.section))


def fault(text: str, section: str, user: str, password: str) -> str:
    """Why a client that reads the section does not get this password for the user; empty where it does."""
    found = options(text, section)
    if found.get("user", user) != user:
        return f"[{section}] is for the user {found['user']}"
    if "password" not in found:
        return f"[{section}] has no password"
    same = hmac.compare_digest(found["password"].encode(), password.encode())
    return "" if same else f"[{section}] has another password"


def with_password(text: str, section: str, user: str, password: str) -> str:
    """Every other line stays as it is. Raises UsageError for a section that is another user's, and for a
    password that no option file can hold.
    """
    owner = options(text, section).get("user", user)
    if owner != user:
        raise UsageError(f"[{section}] is for the user {owner}, not for {user}; the file is as it was")
    if "\0" in password or len(password.encode()) > LONGEST:
        raise UsageError("an option file cannot hold this password; the file is as it was")
    lines = list(_lines(text))
    ours = [one.section == section and one.option == "password" for one in lines]
    new = f"password={quoted(password)}"
    if any(ours):
        return "".join(
            _again(line.raw, new) if mine else line.raw for line, mine in zip(lines, ours, strict=True)
        )
    for place, line in enumerate(lines):
        if line.header and line.section == section:
            raw = [one.raw for one in lines]
            head = raw[place] if raw[place].endswith("\n") else raw[place] + "\n"
            return "".join([*raw[:place], head, new + "\n", *raw[place + 1 :]])
    before = text if text.endswith("\n") or not text else text + "\n"
    return f"{before}[{section}]\nuser={quoted(user)}\n{new}\n"


def quoted(value: str) -> str:
    """In quotes that it does not hold itself, where there are such."""
    mark = "'" if '"' in value and "'" not in value else '"'
    written = "".join(_WRITTEN.get(char, f"\\{char}" if char == mark else char) for char in value)
    return f"{mark}{written}{mark}"


def _again(raw: str, new: str) -> str:
    """The line with its indentation and its end."""
    indent = raw[: len(raw) - len(raw.lstrip(" \t"))]
    end = raw[len(raw.rstrip("\r\n")) :]
    return f"{indent}{new}{end}"


def _lines(text: str) -> Iterator[_Line]:
    section = ""
    for raw in re.findall(r"[^\n]*\n|[^\n]+", text):
        line = raw.strip()
        if line.startswith("["):
            section = line.partition("]")[0].strip("[ ")
            yield _Line(raw, section, header=True)
        elif line[:1] in ("", "#", ";", "!"):
            yield _Line(raw, section)
        else:
            name, _, value = line.partition("=")
            yield _Line(raw, section, name.strip().replace("_", "-"), _value(value.strip()))


def _value(text: str) -> str:
    found = _QUOTED.match(text)
    bare = found[2] if found else text.partition("#")[0].strip()
    return re.sub(r"""\\([btnrs"'\\])""", lambda match: _ESCAPES[match[1]], bare)
