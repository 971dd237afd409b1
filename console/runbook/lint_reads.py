"""The linter's rules for reads: the names there are, and SQL that only reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.runbook import sql
from console.runbook.document import Capture, Flavor, Query, Verify, WaitUntil
from console.runbook.findings import SEEN, Sheet
from console.strict_yaml import Path_, did_you_mean


def query(sheet: Sheet, step: Query, path: Path_, known: Mapping[str, Any]) -> None:
    read(sheet, step, path, known, needed=True)


def wait(sheet: Sheet, step: WaitUntil, path: Path_, known: Mapping[str, Any]) -> None:
    read(sheet, step, path, known, needed=False)
    inside = {**known, **dict.fromkeys(SEEN)}
    sheet.expression(step.until, (*path, "until"), inside)
    if step.abort_if is not None:
        sheet.expression(step.abort_if, (*path, "abort_if"), inside)


def _elsewhere(sheet: Sheet, step: Any, path: Path_, known: Mapping[str, Any]) -> None:
    if getattr(step, "target", None) is not None:
        sheet.expression(step.target, (*path, "target"), known)


def capture(sheet: Sheet, step: Capture, path: Path_, known: Mapping[str, Any]) -> None:
    _elsewhere(sheet, step, path, known)
    for i, name in enumerate(step.collect):
        _known_read(sheet, name, (*path, "collect", i))


def read(
    sheet: Sheet, step: Query | WaitUntil | Verify, path: Path_, known: Mapping[str, Any], *, needed: bool
) -> None:
    _elsewhere(sheet, step, path, known)
    if (step.read is not None) + (step.sql is not None) != 1 and (needed or step.read or step.sql):
        sheet.say("read-or-sql", path, "it has either `read` or `sql`")
    if step.read is not None:
        _known_read(sheet, step.read, (*path, "read"))
    for name, value in step.args.items():
        sheet.value(value, (*path, "args", name), known)
    if step.sql is not None:
        _sql(sheet, step.sql, set(step.args), path)


def _known_read(sheet: Sheet, name: str, path: Path_) -> None:
    if name not in sheet.catalogue.reads:
        sheet.say(
            "read-unknown",
            path,
            f"there is no read {name!r}",
            did_you_mean(name, sorted(sheet.catalogue.reads)),
        )


def _sql(sheet: Sheet, text: str | Mapping[Flavor, str], args: set[str], path: Path_) -> None:
    variants = {(): text} if isinstance(text, str) else {(flavor,): one for flavor, one in text.items()}
    if not isinstance(text, str):
        for flavor in sheet.document.engines:
            if flavor not in text:
                sheet.say(
                    "sql-variant",
                    (*path, "sql"),
                    f"there is no SQL for {flavor}, which the runbook is for",
                )
    for where, one in variants.items():
        at = (*path, "sql", *where)
        wrong = sql.fault(one, where[0] if where else _only(sheet))
        if wrong:
            sheet.say("sql-read-only", at, wrong)
            continue
        wanted = sql.params_in(one)
        for name in sorted(wanted - args):
            sheet.say("sql-args", at, f"it wants :{name}, which `args` does not give")
        for name in sorted(args - wanted):
            sheet.say("sql-args", (*path, "args", name), f"the SQL does not use :{name}")


def _only(sheet: Sheet) -> str:
    """The flavor of a document that is for one; else none."""
    engines = list(sheet.document.engines)
    return engines[0] if len(engines) == 1 else ""
