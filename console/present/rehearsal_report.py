"""The report of a rehearsed migration as Markdown; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from console.model.inventory import Difference
from console.model.rehearsals import HeldLock, Rehearsal, Stretch
from console.present.table import Tone
from console.present.units import UNKNOWN, clean, size, span

_MOST = 200


def concluded(found: Mapping[str, Any]) -> list[tuple[Tone, str]]:
    """What an outcome tells of its rehearsal."""
    good = found.get("verdict") == "pass"
    said = [
        (
            Tone.GOOD if good else Tone.BAD,
            f"  on {clean(str(found.get('backup')), 200)}: {str(found.get('verdict')).upper()}",
        )
    ]
    said += [(Tone.BAD, f"    {clean(str(reason), 500)}") for reason in found.get("reasons") or ()]
    for name in ("up", "down"):
        if (stretch := found.get(name)) is not None:
            said += _told(name, stretch)
    said.append((Tone.MUTED, f"    report: {found.get('report') or 'was not written'}"))
    return said


def _told(name: str, stretch: Mapping[str, Any]) -> list[tuple[Tone, str]]:
    at = f" at line {stretch['line']}" if stretch.get("line") is not None else ""
    end = f", stopped{at}: {stretch['error']}" if stretch.get("error") else ""
    said = [(Tone.NORMAL, f"    {name}: {clean(span(stretch.get('seconds')) + end, 300)}")]
    for one in stretch.get("blocks") or ():
        held = "" if one.get("seconds") is None else f" for {span(one['seconds'])}"
        told = f"{one.get('mode')} on {one.get('relation')}{held}: keeps out {one.get('keeps')}"
        said.append((Tone.WARN, f"      {clean(told, 300)}"))
    return said


def rehearsal_markdown(report: Rehearsal) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Rehearsal) -> Iterator[str]:
    taken = report.backup.started_at
    when = UNKNOWN if taken is None else f"{taken:%Y-%m-%d %H:%M} UTC"
    yield f"# Migration rehearsed on {_text(report.target)}: {report.verdict.upper()}"
    yield ""
    for one in report.reasons:
        yield f"- **{_text(one)}**"
    for one in report.notes:
        yield f"- {_text(one)}"
    yield f"- database {_text(report.database)} of backup {_text(report.backup.id)} ({report.source}, {when})"
    restored = sum(one.seconds for one in report.phases if one.name in ("restore", "recover"))
    yield f"- restored in {span(restored)}; {span(report.seconds)} in all"
    yield f"- action {report.action_id}, begun {report.started_at:%Y-%m-%d %H:%M:%S} UTC"
    for name, stretch in (("up", report.up), ("down", report.down)):
        if stretch is not None:
            yield ""
            yield from _stretch(name, stretch)
    if report.down is not None:
        yield ""
        yield "## After down"
        yield ""
        yield from _difference(report.astray, "The inventory is as it was before up.")
        compared, every = report.data_seen
        if report.data:
            yield f"- **rows differ**: {_text(', '.join(report.data[:_MOST]))}"
        yield f"- rows of {compared} of {every} tables were compared with those before up"
    if report.commands:
        yield from ("", "## Commands", "", "```")
        yield from (clean(one, 2000).replace("```", "'''") for one in report.commands)
        yield "```"


def _stretch(name: str, stretch: Stretch) -> Iterator[str]:
    script = stretch.script
    yield f"## {name}: {_text(script.path)}"
    yield ""
    yield f"- {size(script.bytes)}, SHA-256 `{script.sha256}`"
    at = f" at line {stretch.line}" if stretch.line is not None else ""
    ended = f"**stopped{at}**: {_text(stretch.error)}" if stretch.error else "came to its end"
    how = "as one transaction" if stretch.one_transaction else "as it stands, statement by statement"
    yield f"- ran {how} for {span(stretch.seconds)}; {ended}"
    for one in stretch.rewritten[:_MOST]:
        yield f"- {_text(one)} was rewritten"
    yield ""
    yield from _locks(stretch)
    yield ""
    yield from _difference(stretch.changed, "It changed no object.")


def _locks(stretch: Stretch) -> Iterator[str]:
    if stretch.unseen and not stretch.locks:
        yield f"Locks could not be seen: {_text(stretch.unseen)}"
        return
    if not stretch.locks:
        yield f"No lock on a table was seen in {stretch.looks} looks."
        return
    yield "| table or index | strongest lock | held | keeps waiting |"
    yield "|---|---|---|---|"
    for one in stretch.locks[:_MOST]:
        yield f"| {_text(one.relation)} | {one.mode} | {_held(one)} | {one.keeps or 'nobody but DDL'} |"
    yield ""
    if stretch.one_transaction and not stretch.error:
        yield "Every lock is told; how long it was held was looked at each 50ms."
    else:
        yield f"Locks were looked at each 50ms ({stretch.looks} looks): shorter ones are not told."


def _held(lock: HeldLock) -> str:
    return "< 50ms" if lock.seconds is None else span(lock.seconds)


def _difference(found: Difference, none: str) -> Iterator[str]:
    if not found:
        yield none
        return
    parts: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
        ("gone", found.missing), ("new", found.more), ("changed", found.changed),
    )  # fmt: skip
    for words, pairs in parts:
        for kind, name in pairs[:_MOST]:
            yield f"- {words}: {kind} {_text(name)}"


def _text(text: str) -> str:
    """One line, which is no markup of a table."""
    return clean(text, 500).replace("|", "\\|")
