"""Which runbooks what is seen now speaks for, and which are found by words. Pure.

Names are the reads by name, each its rows as `dbdeck show` has them, or UNKNOWN where nobody looked; `target`
and `server`; `trouble`, the kind of error that the last look brought, empty where the server answers; and
`here`, the row under the cursor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from console.runbook.document import Document, Suggestion
from console.runbook.expression import condition, evaluate, fill
from console.runbook.grammar import paths_in
from console.runbook.values import UNKNOWN, ExpressionError

BESIDE: Final = frozenset({"trouble", "here"})
MOST_STEPS: Final = 1_000_000  # a storm has thousands of rows, and one is looked at
Names = Mapping[str, Any]


class Suggested(msgspec.Struct, frozen=True, kw_only=True):
    """A runbook, why in sentences, what of its params is known, and the reads that say so."""

    runbook: str
    text: str
    given: dict[str, Any] = {}
    reads: frozenset[str] = frozenset()


def suggested(documents: Iterable[Document], names: Names) -> list[Suggested]:
    """Those that something certainly speaks for; what is not known says nothing."""
    found = (_of(document, names) for document in documents)
    return [one for one in found if one is not None]


def _of(document: Document, names: Names) -> Suggested | None:
    holding = [one for one in document.suggest if _holds(one, names)]
    if not holding:
        return None
    given: dict[str, Any] = {}
    for one in holding:
        given = {**_given(one, names), **given}
    return Suggested(
        runbook=document.id,
        text="; ".join(fill(one.text, names, MOST_STEPS) for one in holding),
        given=given,
        reads=frozenset(name for one in holding for name in names_in(one)),
    )


def _holds(one: Suggestion, names: Names) -> bool:
    try:
        return condition(one.when, names, MOST_STEPS) is True
    except ExpressionError:
        return False  # a field that this engine's rows have not


def _given(one: Suggestion, names: Names) -> dict[str, Any]:
    found = {}
    for name, value in one.given.items():
        try:
            known = evaluate(value, names, MOST_STEPS) if isinstance(value, str) else value
        except ExpressionError:
            continue
        if known is not UNKNOWN and known is not None:
            found[name] = known
    return found


def names_in(one: Suggestion) -> set[str]:
    """The names that its condition rests on. Raises ExpressionError for one that is none."""
    return {path[0] for path in paths_in(one.when)}


def wanted(documents: Iterable[Document]) -> set[str]:
    """Everything that the suggestions of these rest on."""
    found: set[str] = set()
    for document in documents:
        for one in document.suggest:
            try:
                found |= names_in(one)
            except ExpressionError:
                continue
    return found


def matches(document: Document, words: str) -> bool:
    """Whether every word is in its id, title, summary or symptoms; in any order, and in the singular too."""
    text = " ".join((document.id, document.title, document.summary, *document.symptoms)).casefold()
    asked = re.findall(r"\w+", words.casefold())
    return all(word in text or (len(word) > 3 and word.removesuffix("s") in text) for word in asked)
