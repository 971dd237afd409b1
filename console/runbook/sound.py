"""Whether a runbook may be run: with an error in it, or in what it calls, nothing is started."""

from __future__ import annotations

from datetime import date

from console.errors import ConfigError
from console.runbook.lint import Catalogue, Finding, lint
from console.runbook.loader import Library


def faults(found: Library, name: str, catalogue: Catalogue, today: date) -> list[Finding]:
    """The errors of a runbook and of all that it calls. Raises UsageError for one that is not there."""
    findings = (
        finding
        for loaded in found.with_callees(name).values()
        for finding in lint(loaded, found, catalogue, today)
    )
    return [finding for finding in findings if finding.severity == "error"]


def must_be_sound(found: Library, name: str, catalogue: Catalogue, today: date) -> None:
    """Raises ConfigError with the first error, UsageError for a runbook that is not there."""
    wrong = faults(found, name, catalogue, today)
    if wrong:
        raise ConfigError(
            f"{wrong[0].place}: {wrong[0].rule}: {wrong[0].message}; nothing was started",
            f"`dbdeck runbook lint {name}` has all of it",
        )
