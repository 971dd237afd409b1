"""The report of a drill as Markdown, and as one HTML page that needs nothing else; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from console.model.drill_history import DrillRecord
from console.model.drills import Check, Outcome, Report, Verdict
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
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # it loads nothing and runs nothing
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1f2328;
background:#fff}table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d0d7de;vertical-align:top}
code,pre{font:13px ui-monospace,monospace}pre{white-space:pre-wrap;background:#f6f8fa;padding:.6rem}
.v{color:#fff;padding:.2rem .7rem;border-radius:.3rem;font-weight:600}
.FAILED,.BROKEN{color:#cf222e;font-weight:600}.skipped{color:#57606a}svg{max-width:100%}
""".strip()


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
    said = [f"# Restore drill of {_cell(report.target)}: {report.verdict.upper()}", ""]
    said += [f"- {_cell(reason)}" for reason in report.reasons]
    said += ["", "| | |", "|---|---|", *(f"| {label} | {_cell(value)} |" for label, value in facts(report))]
    said += ["", "## Time", "", "| phase | time |", "|---|---|"]
    said += [f"| {name} | {span(seconds)} |" for name, seconds in phases(report)]
    said += ["", "## Checks", "", "| what | check | result | found |", "|---|---|---|---|"]
    for one in ordered(report.checks):
        found = one.detail or ("nothing wrong" if one.outcome is Outcome.PASSED else "")
        said.append(f"| {one.area} | {_cell(one.name)} | {_MARK[one.outcome]} | {_cell(found)} |")
    for one in report.checks:
        if one.items:
            said += ["", f"### {_cell(one.name)}", "", *(f"- `{_code(item)}`" for item in one.items)]
    said += ["", "## Commands", "", *(f"    {clean(command, 2000)}" for command in report.commands), ""]
    return "\n".join(said)


def _cell(text: str) -> str:
    """Nothing of a database's names may end a cell or begin markup."""
    found = clean(text, 2000)
    for sign in "\\|`*_[]<>":
        found = found.replace(sign, f"\\{sign}")
    return found


def _code(text: str) -> str:
    return clean(text, 500).replace("`", "'")


# ---- HTML ---------------------------------------------------------------------------------------------


def html(report: Report, history: Sequence[DrillRecord]) -> str:
    """`history`: drills of the same source with this one, in any order; they are plotted over time."""
    title = f"Restore drill of {report.target}"
    badge = f'<span class="v" style="background:{_COLOUR[report.verdict]}">{report.verdict.upper()}</span>'
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{_text(title)} {badge}</h1>",
        _list(report.reasons),
        _table((), [[_text(label), _text(value)] for label, value in facts(report)]),
        "<h2>Time</h2>",
        bars([(name, seconds, span(seconds)) for name, seconds in phases(report)]),
        "<h2>Over time</h2>",
        *_plots(report, history),
        "<h2>Checks</h2>",
        _table(("what", "check", "result", "found"), [_check(one) for one in ordered(report.checks)]),
        "<h2>Commands</h2>",
        f"<pre>{_text(chr(10).join(report.commands), 100_000)}</pre>" if report.commands else "<p>none</p>",
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


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
    items = _list(one.items) if len(one.items) > 1 else ""
    result = f'<span class="{_MARK[one.outcome]}">{_MARK[one.outcome]}</span>'
    return [_text(one.area), _text(one.name), result, _text(one.detail) + items]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "<tr>" + "".join(f"<th>{_text(one)}</th>" for one in head) + "</tr>" if head else ""
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{top}\n{body}</table>"


def _list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(one)}</li>" for one in items) + "</ul>" if items else ""


def _text(text: str, limit: int = 2000) -> str:
    return escape("\n".join(clean(line, limit) for line in text.split("\n")))
