"""A script as the statements it is made of, and why one is not applied statement by statement; pure.

PostgreSQL manual 4.1, MySQL manual 11.1: a semicolon in a text, a quoted name, a comment or a dollar-quoted
body ends nothing. What a client would work on itself (psql's `\\` commands, COPY … FROM STDIN, DELIMITER) is
refused, and so is what would put a password into the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

POSTGRES = "postgresql"
MOST = 500
_PIECES = {
    POSTGRES: re.compile(
        r"""(?P<skip>--[^\r\n]*)
          | (?P<kept>(?<![\w$])\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$|
             (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*")
          | (?P<end>;)
          | (?P<other>[^'"$;/\-eE]+|.)""",
        re.DOTALL | re.VERBOSE,
    ),
    "mysql": re.compile(
        r"""(?P<skip>--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*(?![!M+]).*?\*/)
          | (?P<kept>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`|/\*[!M+].*?\*/)
          | (?P<end>;)
          | (?P<other>[^'"`;/\-\#]+|.)""",
        re.DOTALL | re.VERBOSE,
    ),
}
_COMMENT = re.compile(r"/\*|\*/")
_QUOTES = {POSTGRES: "'\"", "mysql": "'\"`"}
_SECRET = re.compile(
    r"\bidentified\s+(?:by|with|via)\b|\bset\s+password\b|"
    r"(?:password|passwd|secret|token)\b\s*(?::?=\s*|\s)(?:(?:e|u&)?['\"]|\$\w*\$)|"
    r"^\s*(?:create|alter)\s+(?:role|user|group)\b(?!\s+mapping).*\bpassword\s*(?:(?:e|u&)?'|\$)|"
    r"(?:password|passwd)\s*=\s*(?!null\b)[^\s=]|"
    r"://[^\s/:@']*:[^\s/@']+@",
    re.IGNORECASE | re.DOTALL,
)
_CONTROL = re.compile(
    r"^\s*(?:/\*M?!\d*\s*)?(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction|"
    r"set\b[^;]*\bautocommit|xa|lock\s+tables|unlock\s+tables?|use)\b",
    re.IGNORECASE,
)
_CLIENT = re.compile(r"^\s*(?:delimiter|source)\b|^\s*\\|\bfrom\s+stdin\b", re.IGNORECASE | re.MULTILINE)
_COMPOUND = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)
_ROUTINE = re.compile(
    r"^\s*create\s+(?:or\s+replace\s+)?(?:definer\s*=\s*\S+\s+)?"
    r"(?:procedure|function|trigger|event)\b.*\bbegin\b",
    re.IGNORECASE | re.DOTALL,
)
# What PostgreSQL refuses in a transaction block (manual, part VI).
_ALONE = re.compile(
    r"^\s*(?:vacuum|alter\s+system|(?:create|drop)\s+(?:database|tablespace)|(?:create|alter|drop)\s+subscription|"
    r"cluster\s*$|reindex\s*(?:\([^)]*\)\s*)?(?:database|system|schema)|discard\s+all|call)\b|\bconcurrently\b",
    re.IGNORECASE,
)


class Part(NamedTuple):
    """`text` without comments; `line` is where it begins. `alone`: it stands in no transaction block."""

    text: str
    line: int
    alone: bool = False


def parts(text: str, flavor: str) -> list[Part]:
    """Raises ValueError for what does not end."""
    dialect = POSTGRES if flavor == POSTGRES else "mysql"
    found: list[Part] = []
    said, bare, start = "", "", None
    for kind, piece, at in _pieces(text, dialect):
        if kind == "end":
            _add(found, said, bare, start, text)
            said, bare, start = "", "", None
            continue
        if start is None and kind != "skip" and piece.strip():
            start = at + len(piece) - len(piece.lstrip())
        said += " " if kind == "skip" else piece
        bare += " x " if kind == "kept" else " " if kind == "skip" else piece
    _add(found, said, bare, start, text)
    return found


def _pieces(text: str, dialect: str) -> Iterator[tuple[str, str, int]]:
    """(kind, text, where). Raises ValueError for what does not end."""
    at = 0
    while at < len(text):
        if dialect == POSTGRES and text.startswith("/*", at):
            kind, end = "skip", _comment_end(text, at)
        else:
            match = _PIECES[dialect].match(text, at)
            kind, end = (str(match.lastgroup), match.end()) if match else ("other", at + 1)
            if kind == "other" and (text[at:end] in _QUOTES[dialect] or text.startswith("/*", at)):
                raise ValueError(f"what begins at line {_line(text, at)} does not end")
        yield "kept" if kind == "tag" else kind, text[at:end], at
        at = end


def _comment_end(text: str, start: int) -> int:
    """PostgreSQL's comments nest (manual 4.1.5): the first `*/` may end an inner one only."""
    depth = 0
    for match in _COMMENT.finditer(text, start):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise ValueError(f"what begins at line {_line(text, start)} does not end")


def _add(found: list[Part], said: str, bare: str, start: int | None, text: str) -> None:
    if start is not None:
        found.append(Part(said.strip(), _line(text, start), bool(_ALONE.search(bare))))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def objection(found: list[Part], flavor: str) -> str:
    """Why these are not applied one by one; empty where nothing speaks against it."""
    if not found:
        return "it has no statement"
    if len(found) > MOST:
        return f"it has {len(found)} statements, and {MOST} is the most"
    return next((why for one in found if (why := _refused(one, flavor))), "")


def _refused(one: Part, flavor: str) -> str:
    client = _CLIENT.search(one.text) or _COMPOUND.search(one.text)
    routine = flavor != POSTGRES and _ROUTINE.match(one.text)
    why = ""
    if _SECRET.search(one.text):
        why = "it holds a password, which would be in the ledger; give it to the server another way"
    elif _CONTROL.match(one.text):
        why = "it begins or ends transactions (or changes the database) by itself"
    elif client:
        why = "only the server's own client can run it"
    elif routine:
        why = "the body of a routine is several statements, which only the client can tell apart"
    return f"line {one.line}: {why}" if why else ""
