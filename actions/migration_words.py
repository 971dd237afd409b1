"""What is said of a migration's statements, and of where it was rehearsed. Pure."""

from __future__ import annotations

from actions.words import counted


def extent(applied: int, number: int, begin_at: int) -> str:
    """How far a script of `number` statements is applied; what lies before `begin_at` is not claimed."""
    if begin_at == 1:
        return f"{'all ' if applied == number else f'{applied} of '}{counted(number, 'statement')} applied"
    if applied < begin_at:
        return f"none of statements {begin_at} to {number} applied"
    these = f"statement {begin_at}" if applied == begin_at else f"statements {begin_at} to {applied}"
    return f"{these} of {number} applied"


def held(proved: int) -> str:
    return f", {counted(proved, 'check')} {'holds' if proved == 1 else 'hold'}" if proved else ""


def elsewhere(rehearsed_in: str, database: str) -> str:
    """Why a rehearsal in one database says nothing of another; "" where it does, or where none is named."""
    if not rehearsed_in or not database or rehearsed_in == database:
        return ""
    return f"its newest rehearsal was in the database {rehearsed_in}, and this target's is {database}"


def nowhere(rehearsed_in: str, database: str) -> str:
    """What a script meets on a target that names no database, which only MySQL and MariaDB have."""
    if not rehearsed_in or database:
        return ""
    return (
        f"it was rehearsed in the database {rehearsed_in}, and this target names none: a table without its "
        f"database is not found here (`database: {rehearsed_in}` of the target, else write it in the script)"
    )
