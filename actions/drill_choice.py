"""Which backups a drill is of; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from console.errors import UsageError
from console.model.backups import Backup, Catalogue, DrillRule, Source
from console.model.drill_history import DrillRecord, states


class Chosen(NamedTuple):
    """A source and the backup of it; `backup.id` is empty where there is none."""

    name: str
    source: Source
    backup: Backup


def sources_of(
    rule: DrillRule, target: str, source: str, *, overdue: bool, past: Sequence[DrillRecord], now: datetime
) -> list[str]:
    """The sources to drill. Raises UsageError where none is meant."""
    if not rule.sources:
        raise UsageError(
            f"{target} has no sources of backups; nothing was executed",
            f"write them below drills.targets.{target}.sources in the config",
        )
    if source and source not in rule.sources:
        raise UsageError(
            f"{target} has no source {source!r}; nothing was executed", f"it has: {', '.join(rule.sources)}"
        )
    meant = [source] if source else list(rule.sources)
    if overdue:
        due = {one.source for one in states(target, rule, past, now) if one.overdue is not None}
        return [name for name in meant if name in due]
    if len(meant) > 1:
        raise UsageError(
            f"{target} has several sources; nothing was executed",
            f"source= one of: {', '.join(meant)}; or overdue=true",
        )
    return meant


def chosen(rule: DrillRule, found: Catalogue, name: str, backup: str) -> Chosen:
    """The backup of this name, else the newest of the source. Raises UsageError for a name there is not."""
    source = rule.sources[name]
    if backup:
        named = found.find(name, backup)
        if named is None:
            known = [one.id for one in found.backups if one.source == name][:10]
            raise UsageError(
                f"{name} has no backup {backup!r}; nothing was executed",
                f"the newest are: {', '.join(known)}" if known else f"there is none in {source.path}",
            )
        return Chosen(name, source, named)
    problem = next((one for one in found.problems if one.startswith(f"{name}: ")), "")
    faults = (problem.removeprefix(f"{name}: ") or f"there is no backup in {source.path}",)
    nothing = Backup(source=name, id="", method=source.method, path=source.path, faults=faults)
    return Chosen(name, source, found.newest(name) or nothing)
