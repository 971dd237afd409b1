"""`doctor`: can each target be reached, seen and acted on, what do we cost it, and can we record?"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

import msgspec

from console.cli import output
from console.cli.context import Services, choose, ledger
from console.config import Config
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import DbdeckError, Exit
from console.model.target import Check, Target
from console.present.table import Tone

_TOOLS = ("psql", "pg_dump", "pg_basebackup", "mysql", "mysqldump", "mariadb-backup")
_MARKS = {True: ("ok", Tone.GOOD), False: ("PROBLEM", Tone.BAD), None: ("unknown", Tone.WARN)}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`exit` is what the worst finding makes of the whole command."""

    name: str
    checks: tuple[Check, ...]
    exit: Exit = Exit.OK


async def doctor(services: Services, names: tuple[str, ...], select: str, as_json: bool) -> int:
    config = services.config()
    reports = [await _audit(config), _machine()]
    reports += [await _target(target) for target in choose(config, names, select)]
    if as_json:
        output.document({"schema": "dbdeck/doctor/1", "rows": [_document(report) for report in reports]})
    else:
        _print(reports)
    return max(report.exit for report in reports)


def _document(report: Report) -> dict[str, Any]:
    return {"name": report.name, "ok": report.exit == Exit.OK, "checks": report.checks}


def _print(reports: Sequence[Report]) -> None:
    for report in reports:
        output.line(report.name, Tone.NOTICE)
        for check in report.checks:
            mark, tone = _MARKS[check.ok]
            output.line(f"  {mark:8} {check.name}: {check.detail}", tone)
            if check.hint:
                output.line(f"           do: {check.hint}")


async def _target(target: Target) -> Report:
    name = f"{target.name} ({target.engine}, {target.environment}, {target.address})"
    try:
        async with open_engine(target) as engine:
            identity = await engine.identity()
            checks = [
                Check(name="reach", ok=True, detail=f"{identity.label} as {identity.user}"),
                Check(
                    name="role of the server",
                    ok=identity.primary,
                    detail="primary" if identity.primary else "standby or read-only: actions may be refused",
                ),
                Check(
                    name="tls",
                    ok=target.local or identity.tls != "off",
                    detail=identity.tls,
                    hint="" if target.local or identity.tls != "off" else "write `tls: verify-full` for it",
                ),
                *await engine.checks(),
                await _deadlocks(engine),
            ]
    except DbdeckError as error:
        failed = Check(name="reach", ok=False, detail=error.message, hint=error.hint)
        return Report(name=name, checks=(failed,), exit=error.exit)
    operator = await _operator(target)
    blind = any(check.vital and check.ok is False for check in checks)
    bad = blind or operator.ok is False
    return Report(name=name, checks=(*checks, operator), exit=Exit.UNREACHABLE if bad else Exit.OK)


async def _deadlocks(engine: Engine) -> Check:
    """Whether what deadlocked can be told, or only that something did."""
    history = await engine.deadlocks()
    if history.notes:
        return Check(name="deadlocks", ok=None, detail=history.notes[0])
    return Check(name="deadlocks", ok=True, detail="can be described")


async def _operator(target: Target) -> Check:
    from console.dispatch.lifeboat import Lifeboat

    if target.operator is None:
        return Check(name="operator", ok=None, detail="none configured: the target is read-only")
    boat = Lifeboat(target)
    try:
        async with boat.board() as connection:
            return Check(name="operator", ok=True, detail=f"logs in as {connection.user}")
    except DbdeckError as error:
        return Check(name="operator", ok=False, detail=error.message, hint=error.hint)
    finally:
        await boat.sink()


async def _audit(config: Config) -> Report:
    try:
        async with ledger(config, write=True) as opened:
            check = Check(name="ledger", ok=True, detail=f"{opened.sink}: a row was written")
    except DbdeckError as error:
        failed = Check(name="ledger", ok=False, detail=error.message, hint=error.hint)
        return Report(name="audit", checks=(failed,), exit=error.exit)
    journal = Check(name="journal", ok=True, detail=f"{config.journal}: a line was written and synced")
    return Report(name="audit", checks=(check, journal))


def _machine() -> Report:
    found = [tool for tool in _TOOLS if shutil.which(tool)]
    return Report(
        name="this machine",
        checks=(
            Check(
                name="client tools", ok=None if not found else True, detail=", ".join(found) or "none found"
            ),
            Check(
                name="bytecode",
                ok=not os.environ.get("PYTHONDONTWRITEBYTECODE"),
                detail="compiled code is kept"
                if not os.environ.get("PYTHONDONTWRITEBYTECODE")
                else "is not kept",
                hint="unset PYTHONDONTWRITEBYTECODE: it makes every start 3 times slower"
                if os.environ.get("PYTHONDONTWRITEBYTECODE")
                else "",
            ),
            Check(name="temporary folder", ok=True, detail=tempfile.gettempdir()),
        ),
    )
