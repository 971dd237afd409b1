"""What a restored database is compared with, and what the comparison says; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from console.model.backups import Backup, DrillRule, seconds_of
from console.model.drills import Area, Check, Outcome
from console.model.inventory import (
    Baseline,
    Contents,
    Inventory,
    TableContent,
    differences,
    named,
)
from console.present.units import span

_NUMBERS = {"true": "1", "false": "0"}  # as MySQL and MariaDB answer
_SKEW = 300.0  # seconds that clocks may differ
_FEW = 10  # rows by which a small table of a live server may differ
_MOST = 200  # names kept of one check


def inventory_check(expected: Inventory | None, found: Inventory, baseline: Baseline | None) -> list[Check]:
    """Every object by its kind and name. What the live server has and the backup has not is missing: if it
    was made after the backup, only a person can know.
    """
    what = f"objects of {found.database}" if found.database else "roles and other objects of the server"
    if baseline is None or expected is None:
        return [_skipped(Area.INVENTORY, what, _no_baseline(baseline))]
    seen = differences(expected, found)
    since = "" if baseline.exact else f" (by {baseline.origin}: what was made since the backup counts, too)"
    checks = [_named(what, "missing", seen.missing, since)]
    if baseline.exact:
        checks.append(_named(f"{what}, added", "not in the source", seen.more))
        checks.append(_named(f"{what}, definitions", "defined otherwise", seen.changed))
    elif seen.more or seen.changed:
        said = f"{len(seen.more)} more than there are now, {len(seen.changed)} defined otherwise"
        checks.append(_skipped(Area.INVENTORY, f"{what}, changes since the backup", said))
    unseen = {**expected.unseen, **found.unseen}
    checks += [_skipped(Area.INVENTORY, f"{what}, {kind}", unseen[kind]) for kind in seen.unseen]
    return checks


def _named(name: str, how: str, objects: Sequence[tuple[str, str]], since: str = "") -> Check:
    if not objects:
        return Check(area=Area.INVENTORY, name=name, outcome=Outcome.PASSED, detail=f"none is {how}")
    items = tuple(f"{kind} {one}" for kind, one in objects[:_MOST])
    detail = f"{how}: {named(objects)}{since}"
    return Check(area=Area.INVENTORY, name=name, outcome=Outcome.FAILED, detail=detail, items=items)


def rows_checks(baseline: Baseline | None, found: Contents, *, drift: float, physical: bool) -> list[Check]:
    """Row counts and checksums of each table, against those of the baseline."""
    name = f"rows of {found.database}"
    expected = baseline.content(found.database) if baseline else None
    if baseline is None or expected is None:
        return [_skipped(Area.ROWS, name, _no_baseline(baseline))]
    have = found.by_name()
    pairs = [(one, have[one.name]) for one in expected.tables if one.name in have]
    if physical:
        pairs = [pair for pair in pairs if not pair[1].unlogged]
    allowed = 0.0 if baseline.exact else drift
    checks = [_rows(name, pairs, allowed, baseline)]
    if baseline.exact:
        checks += _sums(f"contents of {found.database}", pairs)
    checks += _uncounted(f"{name}: all tables", found, "in the restored copy")
    checks += _uncounted(f"{name}: all tables of the baseline", expected, f"by {baseline.origin}")
    return checks


def _uncounted(name: str, contents: Contents, where: str) -> list[Check]:
    left = [one for one in contents.tables if one.rows is None or not one.exact]
    if not left:
        return []
    said = f"{len(left)} of {len(contents.tables)} tables were not counted {where}: {left[0].why}"
    return [_skipped(Area.ROWS, name, said, [one.name for one in left[:_MOST]])]


Pairs = Sequence[tuple[TableContent, TableContent]]


def _rows(name: str, pairs: Pairs, allowed: float, baseline: Baseline) -> Check:
    counted = [(one, other) for one, other in pairs if one.rows is not None and other.rows is not None]
    bad = [(one, other) for one, other in counted if not _agree(one, other, allowed)]
    by = baseline.origin if baseline.exact else f"{baseline.origin}, {allowed:.0%} of drift allowed"
    if not counted:
        return _skipped(Area.ROWS, name, "no table could be counted on both sides")
    if not bad:
        said = f"{len(counted)} tables as {by}"
        return Check(area=Area.ROWS, name=name, outcome=Outcome.PASSED, detail=said)
    items = tuple(f"{one.name}: {other.rows} rows instead of {one.rows}" for one, other in bad[:_MOST])
    more = f" and {len(bad) - 5} more tables" if len(bad) > 5 else ""
    detail = f"{'; '.join(items[:5])}{more} (by {by})"
    return Check(area=Area.ROWS, name=name, outcome=Outcome.FAILED, detail=detail, items=items)


def _agree(expected: TableContent, found: TableContent, allowed: float) -> bool:
    """An estimate is no verdict: it only tells that a table is not empty."""
    wanted, have = expected.rows or 0, found.rows or 0
    if not (expected.exact and found.exact):
        return (wanted == 0) == (have == 0) or min(wanted, have) > 0 or max(wanted, have) < 100
    slack = _FEW if allowed and min(wanted, have) > 0 else 0
    return abs(wanted - have) <= max(allowed * max(wanted, have), slack)


def _sums(name: str, pairs: Pairs) -> list[Check]:
    compared = [(a, b) for a, b in pairs if a.checksum and b.checksum and a.sample == b.sample]
    bad = [a.name for a, b in compared if a.checksum != b.checksum]
    if not compared:
        return [_skipped(Area.CONTENT, name, "no checksum was taken on both sides")]
    whole = sum(a.sample == 1 for a, _ in compared)
    said = f"{whole} tables in whole, {len(compared) - whole} by samples, of {len(pairs)}"
    if bad:
        detail = f"other contents than in the source: {', '.join(bad[:5])}"
        return [
            Check(
                area=Area.CONTENT, name=name, outcome=Outcome.FAILED, detail=detail, items=tuple(bad[:_MOST])
            )
        ]
    return [Check(area=Area.CONTENT, name=name, outcome=Outcome.PASSED, detail=said)]


def age_check(backup: Backup, rule: DrillRule, now: datetime) -> Check:
    """The backup itself against the RPO: nothing in it is newer than its beginning."""
    name = "age of the backup"
    if backup.started_at is None:
        return _skipped(Area.OBJECTIVE, name, "it does not tell when it was taken")
    age = (now - backup.started_at).total_seconds()
    if age < -_SKEW:
        why = f"it says it was taken {span(-age)} from now: a clock is wrong, or a time zone"
        return Check(area=Area.OBJECTIVE, name=name, outcome=Outcome.BROKEN, detail=why)
    return objective(name, age, seconds_of(rule.rpo))


def objective(name: str, seconds: float, promised: float) -> Check:
    detail = f"{span(seconds)}, promised are {span(promised)}"
    outcome = Outcome.PASSED if seconds <= promised else Outcome.FAILED
    return Check(area=Area.OBJECTIVE, name=name, outcome=outcome, detail=detail)


def assertion_check(name: str, expect: str, answer: str | None) -> Check:
    """Only the one value is told."""
    said = "nothing" if answer is None else repr(answer[:80])
    outcome = Outcome.PASSED if answer in (expect, _NUMBERS.get(expect)) else Outcome.FAILED
    return Check(area=Area.ASSERTION, name=name, outcome=outcome, detail=f"{said}, expected {expect!r}")


def _no_baseline(baseline: Baseline | None) -> str:
    if baseline is None:
        return "nothing to compare with: there is no manifest, and the live server does not answer"
    return f"{baseline.origin} does not tell of it"


def _skipped(area: Area, name: str, why: str, items: Iterable[str] = ()) -> Check:
    return Check(area=area, name=name, outcome=Outcome.SKIPPED, detail=why, items=tuple(items))
