"""A post-mortem as Markdown, as one HTML page that needs nothing else, and as a document; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from console.present import page as html_page
from console.present.page import fenced, grid, listed, mark, said, table
from console.present.post_mortem_parts import Effect, Evidence, Moment, Person, Report, Way
from console.present.units import clean, span

ROWS_SHOWN: Final = 100  # of one answer on a page; the document has all of them
_CELL: Final = 300
_COLOUR: Final = {"ok": "#1a7f37", "rolled_back": "#1a7f37", "escalate": "#9a6700", "stopped": "#57606a"}
_CLAIMS: Final = (
    "Names are what the machines of those people say of them. The login is the one their rows were written "
    "with; it is verified where the ledger is on a server, and a claim as well where it is a file."
)
_ACTIONS: Final = "To be filled in by people: what is to be done, by whom, and until when."


class Grid(msgspec.Struct, frozen=True):
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Items(msgspec.Struct, frozen=True):
    items: tuple[str, ...]


class Code(msgspec.Struct, frozen=True):
    text: str


Block: TypeAlias = str | Grid | Items | Code


class Section(msgspec.Struct, frozen=True):
    """`level` 2 is a section, 3 a part of the one before. All of it is plain text."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 2


def document(report: Report) -> dict[str, Any]:
    """All that is known, every row of every answer included."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    return {"schema": "dbdeck/post-mortem/1", **found}


def markdown(report: Report) -> str:
    lines = [f"# {mark(_title(report))}: {mark(_badge(report))}"]
    for section in sections(report):
        lines += ["", f"{'#' * section.level} {mark(section.title)}"]
        for block in section.blocks:
            lines += ["", *_marked(block)]
    return "\n".join(lines) + "\n"


def _marked(block: Block) -> list[str]:
    match block:
        case Grid(head=head, rows=rows):
            return grid(head, rows)
        case Items(items=items):
            return [f"- {mark(one)}" for one in items]
        case Code(text=text):
            return fenced(text)
        case _:
            return [mark(block)]


def html(report: Report) -> str:
    parts: list[str] = []
    for section in sections(report):
        parts.append(f"<h{section.level}>{said(section.title)}</h{section.level}>")
        parts += [_drawn(block) for block in section.blocks]
    return html_page.page(_title(report), _badge(report), _COLOUR.get(report.result, "#cf222e"), parts)


def _drawn(block: Block) -> str:
    match block:
        case Grid(head=head, rows=rows):
            return table(head, [[said(cell) for cell in row] for row in rows])
        case Items(items=items):
            return listed(items)
        case Code(text=text):
            return f"<pre>{said(text, 100_000)}</pre>"
        case _:
            return f"<p>{said(block)}</p>"


def _title(report: Report) -> str:
    return f"Post-mortem: {report.title} on {report.target}"


def _badge(report: Report) -> str:
    return (report.result or "not ended").replace("_", " ").upper()


# ---- what stands where ----------------------------------------------------------------------------------


def sections(report: Report) -> list[Section]:
    """In the order of the page; what there was nothing of is left out, but for effects and failures."""
    return [
        Section("Run", (Grid(("", ""), tuple(facts(report))),)),
        Section("Summary", (Items(report.summary),)),
        Section("Timeline", (_moments(report.timeline),)),
        *_some("Decisions and attestations", report.decisions),
        Section("Effects", () if report.effects else ("No action was begun: this run changed nothing.",)),
        *(one for effect in report.effects for one in _effect(effect)),
        *_some("Verification", report.verification),
        *_evidence_of(report.evidence),
        *_ways(report.ways),
        *_some("Steps left out", report.left_out),
        *_some("Notes", report.notes),
        *_some("Hand-overs", report.handed_over),
        Section("What failed or is unknown", (_moments(report.failed) if report.failed else "Nothing.",)),
        *_some("Taking back", report.rolled_back),
        Section("Who took part", (_people(report.people), _CLAIMS)),
        *_items("What was not known", report.not_known),
        *_items("Rows of the ledger that are not part of this", report.rows_apart),
        Section("Action items", (_ACTIONS, Grid(("what", "who", "until"), (("", "", ""),)))),
    ]


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """What stands at the head: (label, value)."""
    ended = f"{report.ended:%Y-%m-%d %H:%M:%S} UTC" if report.ended else "it has not ended"
    yield "runbook", f"{report.runbook} ({report.title})"
    yield "version", f"sha256 {report.digest}"
    yield "run", report.run
    yield "target", report.target
    yield "started by", report.by
    yield "reason", report.reason or "none was given"
    yield "ticket", report.ticket or "none"
    yield "params", _plain(report.params) if report.params else "none"
    yield "began", f"{report.began:%Y-%m-%d %H:%M:%S} UTC"
    yield "ended", ended
    yield "duration", span(report.seconds) if report.seconds else "less than a millisecond"
    yield (
        "result",
        f"{report.result or 'not ended'}: {report.text}" if report.text else report.result or "none",
    )
    yield "what stands", ", ".join(report.stands) or "nothing"


def _moments(moments: Sequence[Moment]) -> Grid:
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M:%S}", _offset(one.offset), one.step, one.what, one.who) for one in moments
    ]
    return Grid(("time (UTC)", "offset", "step", "what", "who"), tuple(rows))


def _offset(seconds: float) -> str:
    """As +h:mm:ss; a ledger's clock that was set back shows."""
    whole = round(abs(seconds))
    return f"{'-' if seconds < -0.5 else '+'}{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _some(title: str, moments: Sequence[Moment]) -> list[Section]:
    return [Section(title, (_moments(moments),))] if moments else []


def _items(title: str, items: Sequence[str]) -> list[Section]:
    return [Section(title, (Items(tuple(items)),))] if items else []


def _effect(effect: Effect) -> Iterator[Section]:
    told = [
        ("action", f"{effect.action} ({effect.action_id})"),
        ("login", effect.operator),
        ("status", effect.status),
        ("now", effect.standing),
        ("verification", effect.verdict or "none is recorded"),
    ]
    told += [("evidence", _plain(effect.evidence))] if effect.evidence else []
    told += [("error", effect.error)] if effect.error else []
    blocks: list[Block] = [Grid(("", ""), tuple(told))]
    for sent in effect.sent:
        blocks.append(f"Recorded as row {sent.row} at {sent.at:%Y-%m-%d %H:%M:%S} UTC, and sent after that:")
        blocks += [Code(text) for text in sent.statements] or ["The text of this row is not there any more."]
    if not effect.sent and effect.planned:
        blocks.append("Planned; no row says that any of it was sent:")
        blocks += [Code(text) for text in effect.planned]
    if effect.missing:
        rows = ", ".join(map(str, effect.missing))
        blocks.append(f"Redacted in the ledger, and missing here: rows {rows}.")
    yield Section(effect.step or effect.action_id, tuple(blocks), 3)


def _evidence_of(evidence: Sequence[Evidence]) -> Iterator[Section]:
    if evidence:
        yield Section("Evidence", ("Answers of the server, as the run kept them.",))
    for one in evidence:
        named = f"{one.step}: {one.name}" if one.name else one.step
        yield Section(f"{named}, row {one.row}", tuple(_answer(one)), 3)


def _answer(one: Evidence) -> Iterator[Block]:
    if one.problem:
        yield f"It could not be read: {one.problem}"
        return
    told = f"{len(one.rows)} rows at {one.at:%Y-%m-%d %H:%M:%S} UTC."
    if one.truncated:
        told += " The answer was cut off: there were more, which nobody kept."
    if one.redacted:
        told += f" Not kept: the values of {', '.join(one.redacted)}."
    if len(one.rows) > ROWS_SHOWN:
        told += f" The first {ROWS_SHOWN} are shown here; `--format json` has all."
    yield told
    columns = tuple(dict.fromkeys(name for row in one.rows for name in row))
    if columns:
        rows = [tuple(_plain(row.get(name)) for name in columns) for row in one.rows[:ROWS_SHOWN]]
        yield Grid(columns, tuple(rows))


def _ways(ways: Sequence[Way]) -> list[Section]:
    rows = [(one.step, one.taken, one.by or "the runbook", "; ".join(one.others)) for one in ways]
    return [Section("Ways", (Grid(("branch", "taken", "by", "not taken"), tuple(rows)),))] if rows else []


def _people(people: Iterable[Person]) -> Grid:
    rows = [(one.name, ", ".join(one.logins) or "wrote no row", ", ".join(one.did)) for one in people]
    return Grid(("name", "login", "what they did"), tuple(rows))


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return clean(value, _CELL)
    if value is None:
        return ""
    return clean(json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":")), _CELL)
