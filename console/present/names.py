"""Names as an argument of an action takes them: plain, in double quotes, or in MySQL's backticks."""

from __future__ import annotations

import re

from console.errors import UsageError

_PART = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([^."`]+)')
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


def shown(schema: str, name: str) -> str:
    """`shop.orders`, or `"odd.schema"."odd ""name"` where a part is not plain lower case."""
    return ".".join(_part(part) for part in (schema, name) if part)


def _part(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"'


def parse(text: str) -> tuple[str, str]:
    """(schema, name) of what `shown` gives; the schema is empty where none was given. Case counts.

    Raises UsageError for what is neither one nor two names.
    """
    parts, place = [], 0
    while place < len(text):
        found = _PART.match(text, place)
        if found is None or (found.end() < len(text) and text[found.end()] != "."):
            break
        parts.append(_bare(found))
        place = found.end() + 1
    if not 1 <= len(parts) <= 2 or place != len(text) + 1 or any("\0" in part for part in parts):
        raise UsageError(
            f"{text!r} is no name of a table or an index; nothing was executed",
            'write it as orders, shop.orders, or "odd.schema"."odd name"',
        )
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def _bare(part: re.Match[str]) -> str:
    doubled, ticked, plain = part.groups()
    if doubled is not None:
        return str(doubled).replace('""', '"')
    return str(plain) if ticked is None else str(ticked).replace("``", "`")
