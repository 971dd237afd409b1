"""Ledger rows as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from console.audit.brackets import Bracket
from console.audit.checkpoint import Signed, parse
from console.audit.definitions import Part
from console.audit.marks import signed_of
from console.audit.merge import Merged
from console.audit.record import Entry, Kind, OpenIntent
from console.audit.unmerged import Unmerged
from console.audit.verify import Fault, Remark, Verification
from console.errors import DbdeckError, LedgerFault
from console.model.one_line import one_line
from console.present.runs import line
from console.present.table import Column, Line, Tone
from console.present.units import age, clean, counted, harmless
from console.runbook.history import event_of

COLUMNS = (
    Column(title="id", width=6, align="right", whole=True),
    Column(title="at (UTC)", width=19),
    Column(title="kind", width=10),
    Column(title="action", width=18),
    Column(title="target", width=14, drop=2),
    Column(title="operator", width=16, drop=3),
    Column(title="what", width=20, grow=True),
)
_REMARKS = 20  # that are told in lines
_TONES: dict[str, Tone] = {
    Kind.INTENT: Tone.NOTICE,
    Kind.REFUSED: Tone.WARN,
    Kind.BREAKGLASS: Tone.BAD,
    Kind.OPEN: Tone.MUTED,
    Kind.CLOSE: Tone.MUTED,
    Kind.STEP: Tone.NORMAL,
}
_STATUS = {
    "applied": Tone.GOOD,
    "partial": Tone.WARN,
    "no_op": Tone.NOTICE,
    "failed": Tone.WARN,
    "unknown": Tone.BAD,
}


def body(entry: Entry) -> dict[str, Any]:
    """The fields of a row; empty after a redaction or where the text is no object."""
    try:
        found = msgspec.json.decode(entry.body or "{}")
    except (ValueError, RecursionError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def head(entry: Entry) -> str:
    """What a row is, in a line. Whoever may append may write any kind, and a login may be called anything."""
    return clean(f"{entry.kind} · row {entry.id} · {entry.at.isoformat()} · {entry.db_user}", 200)


def text(entry: Entry) -> str:
    """The body over several lines, with JSON's own escapes for what does not print; as it is, but for that,
    where it is no JSON, which no append can have made.
    """
    if entry.body is None:
        return "(redacted)"
    try:
        return "\n".join(map(one_line, msgspec.json.format(entry.body, indent=2).split("\n")))
    except (ValueError, RecursionError, msgspec.DecodeError):
        return harmless(entry.body)


class Story:
    """The action, target and reason of each action id: later rows of an action name only its id."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._intents = {entry.action_id: body(entry) for entry in entries if entry.kind == Kind.INTENT}

    def who(self, entry: Entry) -> str:
        """An approval counts by the login that the ledger's server verified, not by the name it gives."""
        said = "" if entry.kind == Kind.APPROVAL else self.of(entry, "operator")
        return said or entry.db_user

    def of(self, entry: Entry, name: str) -> str:
        own = body(entry).get(name)
        return str(own or self._intents.get(entry.action_id, {}).get(name) or "")


def lines(entries: Sequence[Entry]) -> list[Line]:
    story = Story(entries)
    return [_line(entry, story) for entry in entries]


def _line(entry: Entry, story: Story) -> Line:
    return Line(
        key=str(entry.id),
        cells=(
            str(entry.id),
            entry.at.strftime("%Y-%m-%d %H:%M:%S"),
            clean(entry.kind, 20),
            clean(story.of(entry, "action"), 60),
            clean(story.of(entry, "target"), 60),
            clean(story.who(entry), 60),
            clean(what(entry), 300),
        ),
        tone=_STATUS.get(str(body(entry).get("status")), _TONES.get(entry.kind, Tone.NORMAL)),
    )


def what(entry: Entry) -> str:
    """The one thing a row has to say."""
    try:
        return _said(entry)
    except (AttributeError, TypeError, ValueError, LedgerFault):
        return "it says nothing that dbdeck writes"  # whoever may append may append junk


def _said(entry: Entry) -> str:
    fields = body(entry)
    if entry.kind == Kind.INTENT:
        return f"{fields.get('reason', '')} · {'; '.join(fields.get('statements', []))}"
    if entry.kind == Kind.STEP:
        return f"step {fields.get('step')}: {_sent(fields)}"
    if entry.kind in (Kind.OUTCOME, Kind.RESOLVED):
        verdict = fields.get("verify") or {}
        error = fields.get("error") or {}
        return f"{fields.get('status')}: {error.get('message') or verdict.get('summary') or ''}"
    if entry.kind == Kind.OPEN:
        return f"dbdeck {fields.get('version', '')} started by {started_by(fields.get('who') or {})}".strip()
    if entry.kind in _OWN_WORDS:
        return _OWN_WORDS[entry.kind](entry)
    return str(fields.get("reason") or fields.get("text") or "")


def started_by(who: Mapping[str, Any]) -> str:
    """With who became that account by sudo or su, where the row tells: by the kernel, or else by sudo."""
    user, login = who.get("os_user", ""), who.get("login_user") or who.get("sudo_user")
    return f"{user} (logged in as {login})" if login and login != user else str(user)


def _checkpoint(entry: Entry) -> str:
    signed = signed_of(entry)
    return checkpoint_line(signed) if signed is not None else "a checkpoint that cannot be read"


def _event(entry: Entry) -> str:
    event = event_of(entry)
    return line(event)[1] if event is not None else "an event of a newer dbdeck"


def _sent(fields: Mapping[str, Any]) -> str:
    """One statement, or the first of those that were recorded with one row."""
    several = fields.get("statements")
    if not isinstance(several, list) or not several:
        return str(fields.get("statement"))
    return f"{len(several)} statements: {several[0]}; …"


FIELDS = (
    "id", "at", "writer", "seq", "kind", "action_id", "action", "target", "operator", "reason", "body",
)  # fmt: skip


def document(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Rows of `audit list --json`."""
    story = Story(entries)
    return [
        {
            "id": entry.id,
            "at": entry.at,
            "writer": str(entry.writer),
            "seq": entry.seq,
            "kind": entry.kind,
            "action_id": str(entry.action_id),
            "action": story.of(entry, "action") or None,
            "target": story.of(entry, "target") or None,
            "operator": story.who(entry),
            "reason": story.of(entry, "reason") or None,
            "body": body(entry),
        }
        for entry in entries
    ]


def verification(found: Verification) -> dict[str, Any]:
    """`audit verify --json`."""
    return {
        "schema": "dbdeck/verify/1",
        "ok": found.ok,
        "rows": found.rows,
        "writers": found.writers,
        "checkpoints": found.checkpoints,
        "faults": [
            {
                "id": fault.id,
                "writer": fault.writer and str(fault.writer),
                "seq": fault.seq,
                "kind": fault.kind,
            }
            for fault in found.faults
        ],
        "open_intents": [str(action) for action in found.open_intents],
        "offline": [bracket_document(one) for one in found.brackets],
        "remarks": [
            {"id": one.id, "writer": str(one.writer), "seq": one.seq, "kind": "time", "seconds": one.seconds}
            for one in found.remarks
        ],
    }


def verdict(found: Verification) -> list[str]:
    """`audit verify` in lines: the whole, then each fault."""
    word = "whole" if found.ok else f"{counted(len(found.faults), 'fault').upper()}"
    signed = f", {counted(found.checkpoints, 'checkpoint')}" if found.checkpoints else ""
    return [
        f"{counted(found.rows, 'row')} of {counted(found.writers, 'writer')}{signed}: {word}",
        *(f"  {_where(one)}{one.kind}" for one in found.faults),
    ]


def verified(found: Verification) -> Iterator[tuple[str, Tone]]:
    """`audit verify` for people: the verdict, and what is to be known besides."""
    for text in verdict(found):
        yield text, Tone.GOOD if found.ok else Tone.BAD
    for one in found.remarks[:_REMARKS]:
        yield f"  {remark(one)}", Tone.NOTICE
    if (more := len(found.remarks) - _REMARKS) > 0:
        yield f"  and {more:,} more rows like that: --json has them all", Tone.NOTICE
    for action in found.open_intents:
        yield f"  open intent {action}: its end is not known", Tone.WARN
    for known in found.brackets:
        for text in bracket(known):
            yield f"  {text}", Tone.NOTICE if known.reviewed_by else Tone.WARN


def remark(found: Remark) -> str:
    where = f"row {found.id}, writer {found.writer}, seq {found.seq}"
    return (
        f"{where}: its time is {age(found.seconds)} before that of the row before it: a clock was set back, "
        "or the ledger moved to a server with another; no fault"
    )


def _where(fault: Fault) -> str:
    """As much as is known of where it is: a row that is missing has no number, a journal is its writer's."""
    missing = "missing row" if fault.seq is not None else ""
    parts = (
        f"row {fault.id}" if fault.id is not None else missing,
        f"writer {fault.writer}" if fault.writer else "",
        f"seq {fault.seq}" if fault.seq is not None else "",
    )
    known = ", ".join(part for part in parts if part)
    return f"{known}: " if known else ""


def bracket(found: Bracket) -> list[str]:
    """What was done while the ledger was out of reach, in two lines."""
    began, ended = _moment(found.began_at), _moment(found.ended_at)
    rows = f"{found.rows} rows" if found.rows else "NO END: its writer died, or its journal was cut"
    seen = f"reviewed by {found.reviewed_by}: {found.review}" if found.reviewed_by else "UNREVIEWED"
    return [
        clean(
            f"declared offline from {began} to {ended or 'nobody knows when'} UTC on {found.target} by "
            f"{found.operator}: {found.reason}",
            400,
        ),
        clean(f"  {rows}, merged {_moment(found.merged_at)} UTC, writer {found.writer}, {seen}", 400),
    ]


def bracket_document(found: Bracket) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return {**plain, "logins": sorted(found.logins), "reviewed": found.reviewed_by is not None}


def unmerged_line(found: Unmerged) -> str:
    state = "still open" if found.alive else "not merged"
    spoilt = f"; {found.spoilt}: no merge takes it, look for the file as it was" if found.spoilt else ""
    rows = f"{found.rows} rows" if found.rows else "no rows that can be read"
    return f"{rows} of a break-glass are in {clean(found.path)} only: {state}{spoilt}"


def merged(found: Merged) -> tuple[str, Tone]:
    """A line of `audit merge`."""
    end = "" if found.ended else ", without an end"
    known = f", {found.already} of them were known to be" if found.already else ""
    said = f"{found.rows} rows are in the ledger{known}{end}; the last is {found.link[:16]}"
    return f"{clean(found.path)}: {said}", Tone.GOOD if found.ended else Tone.WARN


def _glass(entry: Entry) -> str:
    fields = body(entry)
    match fields.get("event"):
        case "begin":
            return f"the glass was broken on {fields.get('target')}: {fields.get('reason')}"
        case "end":
            return "the break-glass was over"
        case "review":
            return f"reviewed: {fields.get('reason')}"
        case _:
            return "an event of a newer dbdeck"


_OWN_WORDS: Mapping[str, Callable[[Entry], str]] = {
    Kind.CHECKPOINT: _checkpoint,
    Kind.RUN: _event,
    Kind.BREAKGLASS: _glass,
}


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def checkpoint(signed: Signed, kept: Sequence[str], failed: Mapping[str, DbdeckError]) -> dict[str, Any]:
    """`audit checkpoint --json`."""
    return {
        "schema": "dbdeck/checkpoint/1",
        "checkpoint": msgspec.to_builtins(signed),
        "digest": signed.digest.hex(),
        "rows": parse(signed.text).rows,
        "kept": list(kept),
        "failed": {name: error.message for name, error in failed.items()},
    }


def checkpoint_line(signed: Signed) -> str:
    return f"checkpoint {signed.digest.hex()[:16]} of {parse(signed.text).rows} rows, signed by {signed.key}"


_PARTS: Mapping[str, Tone] = {"as made": Tone.GOOD, "unknown": Tone.WARN}


def part(found: Part) -> tuple[str, Tone]:
    """A line of `audit doctor`."""
    said = [f"{found.kind} {found.name}: {found.state}", found.detail, found.digest[:12]]
    text = clean(", ".join(one for one in said if one), 300)
    remedy = f"\n  hint: {clean(found.remedy, 300)}" if found.remedy else ""
    return text + remedy, _PARTS.get(found.state, Tone.BAD)


def open_intent(intent: OpenIntent) -> dict[str, Any]:
    return {
        "action_id": str(intent.action_id),
        "at": intent.at,
        "action": intent.body.get("action"),
        "target": intent.body.get("target"),
        "operator": intent.body.get("operator"),
        "reason": intent.body.get("reason"),
        "statements": intent.body.get("statements"),
        "outcome": intent.outcome,
        "running": intent.alive and intent.outcome is None,
        "unmerged": intent.unmerged,
    }


_NO_TEXT = "an action whose text is gone"


def open_line(intent: OpenIntent) -> str:
    """`action on target since when: running | end unknown`."""
    running = intent.alive and intent.outcome is None
    what = f"{intent.body.get('action')} on {intent.body.get('target')}" if intent.body else _NO_TEXT
    return clean(
        f"{what} since {intent.at:%Y-%m-%d %H:%M:%S} UTC by {intent.body.get('operator')}: "
        f"{'running now' if running else 'its end is not known'} ({intent.action_id})"
        f"{', in a break-glass that is not merged' if intent.unmerged else ''}"
    )
