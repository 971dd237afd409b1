"""The library of runbooks as cells: what there is, what is suggested now and why, what fits this server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from console.present.runs import result_tone, state
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean
from console.runbook.document import Document
from console.runbook.functions import seconds_of
from console.runbook.history import Recalled
from console.runbook.params import supports
from console.runbook.suggesting import Suggested, matches

MOST_RUNS: Final = 100  # so many of the newest runs are looked at
COLUMNS: Final = (
    Column(title="runbook", width=24, least=16),
    Column(title="risk", width=6),
    Column(title="last run", width=18, least=10, drop=1),
    Column(title="engines", width=26, least=12, drop=3),
    Column(title="why now, or what for", width=40, grow=True),
)


NEVER: Final = "never"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A runbook in the library of one target. `unfit` says why it cannot be run here; `last` is its last run
    on any target, and what to say where there is none.
    """

    document: Document
    source: str = ""
    suggested: Suggested | None = None
    unfit: str = ""
    last: Recalled | str = NEVER

    @property
    def id(self) -> str:
        return self.document.id


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, suggested ones first; `faults` are files that could not be read, `unseen` reads that
    failed: of what they would tell nothing is suggested.
    """

    entries: tuple[Entry, ...]
    faults: tuple[str, ...] = ()
    unseen: dict[str, str] = {}
    now: datetime
    runs_known: bool = True


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """The documents with where they are from; `wrong` says of those with an error what it is; `faults` are
    files that could not be read.
    """

    documents: tuple[tuple[Document, str], ...]
    wrong: Mapping[str, str] = {}
    faults: tuple[str, ...] = ()


class Server(NamedTuple):
    flavor: str
    version_num: int
    label: str


def shelf(
    books: Books,
    suggestions: Mapping[str, Suggested],
    runs: Sequence[Recalled] | None,
    server: Server | None,
    now: datetime,
) -> Shelf:
    """`runs` are the newest, None where they cannot be read; `server` is None while it is not known: nothing
    is said of what fits it then.
    """
    last: dict[str, Recalled] = {}
    for one in runs or ():
        last.setdefault(one.run.started.runbook, one)
    none = UNKNOWN if runs is None else NEVER if len(runs) < MOST_RUNS else "not lately"
    entries = [
        Entry(
            document=document,
            source=source,
            suggested=suggestions.get(document.id),
            unfit=_unfit(document, books.wrong.get(document.id, ""), server),
            last=last.get(document.id, none),
        )
        for document, source in books.documents
    ]
    entries.sort(key=lambda one: (one.suggested is None, bool(one.unfit), one.id))
    return Shelf(entries=tuple(entries), faults=books.faults, now=now, runs_known=runs is not None)


def _unfit(document: Document, wrong: str, server: Server | None) -> str:
    if wrong:
        return f"it has an error: {wrong}"
    if server is not None and not supports(document, server.flavor, server.version_num):
        return f"not for {server.label}: it is for {engines(document)}"
    return ""


def engines(document: Document) -> str:
    return ", ".join(f"{flavor} {bound}" for flavor, bound in document.engines.items())


def found(entry: Entry, words: str) -> bool:
    """By id, title, summary and symptoms; what suggests it counts too."""
    return matches(entry.document, words)


def lines(data: Shelf) -> list[Line]:
    return [_line(one, data.now) for one in data.entries]


def _line(one: Entry, now: datetime) -> Line:
    document = one.document
    if one.unfit:
        why, tone = one.unfit, Tone.MUTED
    elif one.suggested is not None:
        why, tone = one.suggested.text, Tone.NOTICE
    else:
        why, tone = document.title, Tone.NORMAL
    last, last_tone = _last(one.last, now)
    return Line(
        key=one.id,
        cells=(document.id, str(document.risk), last, engines(document), clean(why, 500)),
        tone=tone,
        tones={} if one.unfit or isinstance(one.last, str) else {2: last_tone},
    )


def _last(last: Recalled | str, now: datetime) -> tuple[str, Tone]:
    if isinstance(last, str):
        return last, Tone.MUTED
    word = state(last)
    return f"{word} {age((now - last.events[-1].at).total_seconds())} ago", result_tone(last)


def summary(data: Shelf) -> str:
    suggested = sum(one.suggested is not None for one in data.entries)
    unfit = sum(bool(one.unfit) for one in data.entries)
    said = [f"{len(data.entries)} runbooks"]
    said.append(
        f"{suggested} suggested by what is seen now" if suggested else "what is seen now suggests none"
    )
    if unfit:
        said.append(f"{unfit} not for this server")
    if not data.runs_known:
        said.append("last runs not known: the ledger does not tell")
    return ", ".join(said)


def note(data: Shelf) -> str:
    if data.faults:
        return f"not read: {clean(data.faults[0], 300)}"
    unseen = not_seen(data.unseen)
    return f"not known, so it suggests nothing: {clean(unseen, 300)}" if unseen else ""


def not_seen(missed: Mapping[str, str]) -> str:
    """Reads that failed, by what kept them from being made: a server that is silent is said once."""
    by_reason: dict[str, list[str]] = {}
    for name, why in missed.items():
        by_reason.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())


def details(one: Entry, now: datetime) -> list[tuple[str, str]]:
    document = one.document
    pairs = [("title", clean(document.title))]
    if one.suggested is not None:
        pairs.append(("now", clean(one.suggested.text, 1000)))
    if one.unfit:
        pairs.append(("not here", clean(one.unfit, 500)))
    pairs += [("what for", clean(document.summary, 1000))] if document.summary else []
    pairs += [("params", _param(name, document)) for name in document.params]
    if document.approvals is not None:
        others = document.approvals
        pairs.append(("approvals", f"{others.count} other than who starts it, when {others.when}"))
    pairs.append(("owner", f"{clean(document.owner)}; {review(document, now.date())}"))
    if not isinstance(one.last, str):
        begins = one.last.run.started
        pairs.append(("last run", f"{state(one.last)} on {clean(begins.target)} by {clean(begins.by)}, "
                                  f"{one.last.events[-1].at:%Y-%m-%d %H:%M} UTC"))  # fmt: skip
    pairs.append(("symptoms", clean(", ".join(document.symptoms), 500) or "none"))
    return pairs


def _param(name: str, document: Document) -> str:
    param = document.params[name]
    default = "required" if param.required else "" if param.default is None else f"default {param.default}"
    return clean(f"{name} ({', '.join(filter(None, (str(param.type), default)))}) {param.help}", 300)


def review(document: Document, today: date) -> str:
    due = document.reviewed + timedelta(seconds=seconds_of(document.review_every))
    late = "OVERDUE since" if due < today else "due"
    return f"reviewed {document.reviewed}, next {late} {due}"


def documents(data: Shelf) -> list[dict[str, Any]]:
    """Rows of the export."""
    return [
        {
            "id": one.id,
            "title": one.document.title,
            "risk": one.document.risk,
            "engines": one.document.engines,
            "suggested": one.suggested.text if one.suggested else None,
            "unfit": one.unfit or None,
            "last": None if isinstance(one.last, str) else state(one.last),
        }
        for one in data.entries
    ]
