"""The report of a drill as Markdown, and as one HTML page that needs nothing else; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from console.model.drill_history import DrillRecord
from console.model.drills import Check, Outcome, Report, Verdict
from console.present.page import listed, mark, page, said, table
from console.present.plots import bars, line_plot
from console.present.units import UNKNOWN, clean, size, span

_MARK = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "FAILED",
    Outcome.SKIPPED: "skipped",
    Outcome.BROKEN: "BROKEN",
}
_COLOUR = {
    Verdict.PASS: "#1a7f37",
    Verdict.DEGRADED: "#9a6700",
    Verdict.FAIL: "#cf222e",
    Verdict.INCONCLUSIVE: "#57606a",
    Verdict.ABORTED: "#57606a",
}


def facts(report: Report) -> list[tuple[str, str]]:
    """What stands at its head: (label, value)."""
    backup, (made, every) = report.backup, report.coverage
    taken = UNKNOWN if backup.started_at is None else f"{backup.started_at:%Y-%m-%d %H:%M:%S} UTC"
    told = [
        ("target", report.target),
        ("source", f"{report.source} ({backup.method})"),
        ("backup", f"{backup.id or 'none'}, {size(backup.bytes)}, taken {taken}"),
        ("drilled", f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC, {span(report.seconds)} in all"),
        ("restored in (RTO)", _against(report.rto_seconds, report.rto_target)),
        ("data lost at most (RPO)", _against(report.rpo_seconds, report.rpo_target)),
        ("compared with", report.baseline),
        ("checks made", f"{made} of {every}"),
        ("machine", _machine(report)),
        ("durability", "commits of the copy did not wait for the disk (fsync off)"),
        ("tools", ", ".join(f"{name} {version}" for name, version in sorted(report.tools.items()))),
        ("action", report.action_id),
    ]
    if report.to_time is not None:
        told.insert(3, ("restored as of", f"{report.to_time:%Y-%m-%d %H:%M:%S} UTC"))
    if report.left:
        told.append(("LEFT BEHIND", ", ".join(report.left)))
    return [(label, clean(value, 500)) for label, value in told if value]


def _against(seconds: float | None, promised: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    return span(seconds) if promised is None else f"{span(seconds)} of the {span(promised)} promised"


def _machine(report: Report) -> str:
    host = report.host
    memory = host.get("memory")
    told = [str(host.get("name", "")), f"{host['cpus']} processors" if host.get("cpus") else ""]
    told.append(f"{size(memory)} of memory" if isinstance(memory, int) else "")
    return ", ".join(one for one in told if one)


def phases(report: Report) -> list[tuple[str, float]]:
    """Seconds of each phase, in their order; stretches of one add up."""
    found: dict[str, float] = {}
    for one in report.phases:
        found[one.name] = found.get(one.name, 0.0) + one.seconds
    return list(found.items())


def ordered(checks: Iterable[Check]) -> list[Check]:
    """What is wrong first."""
    rank = (Outcome.FAILED, Outcome.BROKEN, Outcome.SKIPPED, Outcome.PASSED)
    return sorted(checks, key=lambda one: rank.index(one.outcome))


# ---- Markdown -----------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    lines = [f"# Restore drill of {mark(report.target)}: {report.verdict.upper()}", ""]
    lines += [f"- {mark(reason)}" for reason in report.reasons]
    lines += ["", "| | |", "|---|---|", *(f"| {label} | {mark(value)} |" for label, value in facts(report))]
    lines += ["", "## Time", "", "| phase | time |", "|---|---|"]
    lines += [f"| {name} | {span(seconds)} |" for name, seconds in phases(report)]
    lines += ["", "## Checks", "", "| what | check | result | found |", "|---|---|---|---|"]
    for one in ordered(report.checks):
        found = one.detail or ("nothing wrong" if one.outcome is Outcome.PASSED else "")
        lines.append(f"| {one.area} | {mark(one.name)} | {_MARK[one.outcome]} | {mark(found)} |")
    for one in report.checks:
        if one.items:
            lines += ["", f"### {mark(one.name)}", "", *(f"- {mark(item, 500)}" for item in one.items)]
    lines += ["", "## Commands", "", *(f"    {clean(command, 2000)}" for command in report.commands), ""]
    return "\n".join(lines)


# ---- HTML ---------------------------------------------------------------------------------------------


def html(report: Report, history: Sequence[DrillRecord]) -> str:
    """`history`: drills of the same source with this one, in any order; they are plotted over time."""
    parts = [
        listed(report.reasons),
        table((), [[said(label), said(value)] for label, value in facts(report)]),
        "<h2>Time</h2>",
        bars([(name, seconds, span(seconds)) for name, seconds in phases(report)]),
        "<h2>Over time</h2>",
        *_plots(report, history),
        "<h2>Checks</h2>",
        table(("what", "check", "result", "found"), [_check(one) for one in ordered(report.checks)]),
        "<h2>Commands</h2>",
        f"<pre>{said(chr(10).join(report.commands), 100_000)}</pre>" if report.commands else "<p>none</p>",
    ]
    title = f"Restore drill of {report.target}"
    return page(title, report.verdict.upper(), _COLOUR[report.verdict], parts)


def _plots(report: Report, history: Sequence[DrillRecord]) -> list[str]:
    own = sorted((one for one in history if one.source == report.source), key=lambda one: one.started_at)
    found = []
    for label, values, promised in (
        ("restored in", [one.rto_seconds for one in own], report.rto_target),
        ("data lost at most", [one.rpo_seconds for one in own], report.rpo_target),
    ):
        pairs = zip(own, values, strict=True)
        points = [(one.started_at, value) for one, value in pairs if value is not None]
        if points:
            found.append(line_plot(label, points, promised, span))
    return found or ["<p>This is the first drill that restored anything.</p>"]


def _check(one: Check) -> list[str]:
    items = listed(one.items) if len(one.items) > 1 else ""
    result = f'<span class="{_MARK[one.outcome]}">{_MARK[one.outcome]}</span>'
    return [said(one.area), said(one.name), result, said(one.detail) + items]
