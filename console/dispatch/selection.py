"""`env=prod,engine=postgres,team=shop`: which targets are meant. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from console.errors import UsageError
from console.model.target import Target

KEYS = ("env", "environment", "engine", "name")


def selects(select: str, target: Target) -> bool:
    """`env=prod,engine=postgres,team=shop`: all of them hold; labels by their names. Empty: every target."""
    known: Mapping[str, str] = {
        **target.labels,
        "env": target.environment,
        "environment": target.environment,
        "engine": target.engine,
        "name": target.name,
    }
    return all(fnmatchcase(known.get(key, ""), value) for key, value in parts(select))


def parts(select: str) -> list[tuple[str, str]]:
    """The conditions of a selection. Raises UsageError for a part that is not key=value."""
    found = []
    for part in select.split(",") if select.strip() else ():
        key, equals, value = (word.strip() for word in part.partition("="))
        if not (key and equals and value):
            raise UsageError(
                f"{select!r} selects nothing: {part!r} is not key=value",
                "like env=prod,engine=postgres,team=shop",
            )
        found.append((key, value))
    return found
