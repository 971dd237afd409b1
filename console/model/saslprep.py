"""SASLprep (RFC 4013) as PostgreSQL applies it to a password before it is hashed for SCRAM."""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable

_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_a1,  # unassigned in Unicode 3.2: a stored string may hold none (RFC 3454, 7)
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepared(password: str) -> str:
    """The password as the server and every client prepare it.

    What RFC 4013 forbids is not refused but used as it stands, because PostgreSQL does so
    (pg_saslprep and its callers, src/common/saslprep.c): a prohibited or unassigned character, a broken
    mixture of directions, or nothing left. It looks for these before it normalizes (RFC 3454, 5: after it).
    """
    if password.isascii():
        return password
    mapped = "".join(map(_mapped, password))
    if not mapped or any(test(char) for char in mapped for test in _PROHIBITED) or _mixed(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped)


def _mapped(char: str) -> str:
    """U+200B is in both tables: a space here, though most implementations leave it out."""
    if stringprep.in_table_c12(char):
        return " "
    return "" if stringprep.in_table_b1(char) else char


def _mixed(text: str) -> bool:
    """RFC 3454, 6: text that runs from right to left does so at both ends and holds nothing else."""
    right = [stringprep.in_table_d1(char) for char in text]
    if not any(right):
        return False
    return not (right[0] and right[-1]) or any(stringprep.in_table_d2(char) for char in text)
