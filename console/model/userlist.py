"""PgBouncer's `auth_file`: the line of a user, and a verifier put into it. Pure.

PgBouncer's documentation, "Authentication file format", and load_auth_file in src/loader.c: a name and a
secret in double quotes, of which a quote within is written twice; `;` begins a comment; of a user's lines
the last counts; at a line of another form it stops reading.
"""

from __future__ import annotations

import hmac
import re

from console.errors import UsageError

_ENTRY = re.compile(r'(\s*"((?:[^"]|"")*)"\s*)"((?:[^"\n]|"")*)"')


def secret_of(text: str, user: str) -> str | None:
    """What PgBouncer keeps for the user; None where it knows none."""
    found = None
    for match in map(_ENTRY.match, _lines(text)):
        if match is not None and _plain(match[2]) == user:
            found = _plain(match[3])
    return found


def fault(text: str, user: str, verifier: str) -> str:
    """Why the user cannot log in to the server through PgBouncer with this list; empty where it can."""
    broken = _broken(text)
    if broken:
        return broken
    found = secret_of(text, user)
    if found is None:
        return f"it has no line for {user}"
    same = hmac.compare_digest(found.encode(), verifier.encode())
    return "" if same else f"its line for {user} has another verifier than the server"


def with_verifier(text: str, user: str, verifier: str) -> str:
    """Every other line stays as it is. Raises UsageError for a list that PgBouncer does not read whole."""
    broken = _broken(text)
    if broken:
        raise UsageError(f"{broken}; the file is as it was", "mend the line by hand")
    done = False
    made = []
    for line in _lines(text):
        match = _ENTRY.match(line)
        if match is not None and _plain(match[2]) == user:
            made.append(f"{match[1]}{quoted(verifier)}{line[match.end() :]}")
            done = True
        else:
            made.append(line)
    if done:
        return "".join(made)
    before = text if text.endswith("\n") or not text else text + "\n"
    return f"{before}{quoted(user)} {quoted(verifier)}\n"


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _plain(text: str) -> str:
    return text.replace('""', '"')


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _broken(text: str) -> str:
    for number, line in enumerate(_lines(text), 1):
        if line.strip() and not line.lstrip().startswith(";") and _ENTRY.match(line) is None:
            return f"PgBouncer does not read on at line {number}, which is no pair of quoted words"
    return ""
