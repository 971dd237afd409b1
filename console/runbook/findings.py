"""What the linter finds, and the sheet it is written on: a document with its rules for expressions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

import msgspec

from console.dispatch.registry import Registry
from console.runbook.expression import shown_in
from console.runbook.grammar import parse, paths_in
from console.runbook.loader import Library, Loaded
from console.runbook.values import ExpressionError
from console.strict_yaml import Path_, did_you_mean

SECRET: Final = ("password", "passwd", "secret", "token", "verifier")
SEEN: Final = frozenset({"rows", "row", "count"})


MOST_FINDINGS: Final = 200  # nobody reads more at once


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is file, line and column. Only an error keeps a document from being run."""

    severity: Literal["error", "warning"]
    rule: str
    message: str
    place: str
    hint: str = ""


class Catalogue(msgspec.Struct, frozen=True):
    """What documents may name: the actions there are, and the reads by name."""

    registry: Registry
    reads: frozenset[str]


class Sheet:
    """What is judged, and what was found. `known` are the names an expression may use, with their fields."""

    def __init__(self, loaded: Loaded, library: Library, catalogue: Catalogue, today: date) -> None:
        self.loaded = loaded
        self.document = loaded.document
        self.library = library
        self.catalogue = catalogue
        self.today = today
        self.findings: list[Finding] = []

    @property
    def is_full(self) -> bool:
        return len(self.findings) >= MOST_FINDINGS

    def say(self, rule: str, path: Path_, message: str, hint: str = "", *, warning: bool = False) -> None:
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        if self.is_full:
            return
        place = self.loaded.at(path)
        self.findings.append(Finding(severity=severity, rule=rule, message=message, place=place, hint=hint))

    def value(self, value: Any, path: Path_, known: Mapping[str, Any]) -> None:
        for i, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, str):
                self.expression(one, (*path, i) if isinstance(value, list) else path, known)

    def text(self, shown: str, path: Path_, known: Mapping[str, Any]) -> None:
        for expression in shown_in(shown):
            self.expression(expression, path, known)
            if any(word in expression.lower() for word in SECRET):
                self.say(
                    "secret-shown",
                    path,
                    f"{{{{ {expression} }}}} looks like a secret, and texts are recorded",
                )

    def expression(self, text: str, path: Path_, known: Mapping[str, frozenset[str] | None]) -> None:
        try:
            parse(text)
        except ExpressionError as error:
            self.say("expression", path, f"{text}: {error.message}")
            return
        for found in sorted(paths_in(text)):
            name, fields = found[0], found[1:2]
            if name not in known:
                self.say(
                    "name-unknown", path, f"{text}: there is no {name!r} here", did_you_mean(name, known)
                )
            elif (has := known[name]) is not None and fields and fields[0] not in has:
                self.say(
                    "field-unknown",
                    path,
                    f"{text}: {name} has no {fields[0]!r}",
                    did_you_mean(fields[0], has),
                )
