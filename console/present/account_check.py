"""The findings of `show accounts --check` as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from console.model.account_findings import AccountFinding, Checked
from console.model.accounts import label
from console.model.indexes import Severity
from console.present.table import Column, Line, Tone
from console.present.units import clean

COLUMNS = (
    Column(title="severity", width=8),
    Column(title="account", width=22),
    Column(title="finding", width=24),
    Column(title="why, and what to do", width=40, grow=True),
)
_TONES = {
    Severity.BAD: Tone.BAD,
    Severity.WARN: Tone.WARN,
    Severity.NOTICE: Tone.NORMAL,
    Severity.INFO: Tone.MUTED,
}


def lines(found: Checked) -> list[Line]:
    return [
        Line(
            key=f"{place}",
            cells=(
                one.severity.name.lower(),
                clean(one.account, 200),
                one.what,
                clean(f"{one.why}; {one.remedy}", 600),
            ),
            tone=_TONES[one.severity],
        )
        for place, one in enumerate(found.findings)
    ]


def paragraphs(found: Checked) -> list[tuple[str, Tone]]:
    """Each finding whole, for people: what and who, why, and what to do."""
    said: list[tuple[str, Tone]] = []
    for one in found.findings:
        said += [
            (f"{one.severity.name.lower():<7} {clean(one.account, 200)}: {one.what}", _TONES[one.severity]),
            (f"        {clean(one.why, 600)}", Tone.NORMAL),
            (f"        do: {clean(one.remedy, 400)}", Tone.NORMAL),
        ]
    return said


def text(found: Checked) -> str:
    """The whole check as a page."""
    said = [text for text, _ in paragraphs(found)]
    return "\n".join([summary(found), "", *said, "", *(f"note: {clean(note, 600)}" for note in notes(found))])


def summary(found: Checked) -> str:
    of = {
        severity: sum(one.severity is severity for one in found.findings) for severity in reversed(Severity)
    }
    counts = ", ".join(f"{number} {severity.name.lower()}" for severity, number in of.items() if number)
    many = len(found.findings)
    said = f"{many} finding{'s' if many != 1 else ''} in {found.accounts} accounts"
    return f"{said}{f' ({counts})' if counts else ''}; {tried(found)}"


def tried(found: Checked) -> str:
    """How far the guessing came: what was not tried is not called safe."""
    one = found.guesses
    if one is None:
        return "no password was checked"
    said = f"{one.tried} of {one.of} guesses were tried in {one.seconds:.1f} s"
    return said if one.complete else f"{said}: the time was up, and the rest is unknown"


def document(found: Checked) -> list[dict[str, Any]]:
    """Rows of `show accounts --check --json`, the worst first."""
    return [_row(one) for one in found.findings]


def _row(one: AccountFinding) -> dict[str, Any]:
    return {
        "severity": one.severity.name.lower(),
        "account": one.account,
        "finding": one.what,
        "why": one.why,
        "remedy": one.remedy,
    }


def beside(found: Checked) -> dict[str, Any]:
    one = found.guesses
    return {
        "accounts": found.accounts,
        "guesses": one
        and {
            "tried": one.tried,
            "of": one.of,
            "complete": one.complete,
            "seconds": round(one.seconds, 2),
            "unchecked": [{"account": label(*key), "kind": kind} for key, kind in one.unchecked],
        },
        "notes": list(found.notes),
    }


def notes(found: Checked) -> Iterable[str]:
    yield from found.notes
    for key, kind in found.guesses.unchecked if found.guesses else ():
        yield f"{label(*key)}: no guess can be tried on a verifier of the kind {kind}"
