"""`doctor` on backups: is there one within the RPO, was it proved, and could a drill be run here?"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from typing import Any

from console.backups.board import DRILL, read_backups, read_drills
from console.cli.context import ledger
from console.config import Config
from console.dispatch import fence
from console.dispatch.history import evidence
from console.dispatch.lease import unprivileged
from console.errors import DbdeckError
from console.model.target import Check, Target
from console.present import backups, drills
from console.present.units import size


async def checks(target: Target, config: Config) -> tuple[Check, ...]:
    """Nothing where the config names no source. Needs no server."""
    if not target.drills.sources:
        return ()
    return (await _fence(target), await _scratch(target), *await _backups(target, config))


async def _fence(target: Target) -> Check:
    name = "drill fence"
    if target.drills.network == "open":
        return Check(name=name, ok=None, detail="`network: open`: by the restored server's settings alone")
    try:
        why = await fence.objection(unprivileged())
    except DbdeckError as error:
        return Check(name=name, ok=False, detail=error.message, hint=error.hint)
    if why:
        hint = "allow user namespaces, run as root, or write `network: open` below `drills`"
        return Check(name=name, ok=False, detail=f"no closed network for a restored server: {why}", hint=hint)
    return Check(name=name, ok=True, detail="the kernel keeps restored servers from the network")


async def _scratch(target: Target) -> Check:
    folder = target.drills.scratch_folder
    try:
        free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
    except OSError as error:
        hint = "`drills.scratch` names another folder"
        return Check(name="drill scratch", ok=False, detail=f"{folder}: {error.strerror}", hint=hint)
    may = await asyncio.to_thread(os.access, folder, os.W_OK | os.X_OK)
    told = f"{folder}: {size(free)} free" if may else f"{folder} may not be written in"
    return Check(name="drill scratch", ok=may, detail=told)


async def _backups(target: Target, config: Config) -> tuple[Check, Check]:
    async def past() -> Sequence[dict[str, Any]]:
        async with ledger(config, write=False) as opened:
            return await evidence(opened, DRILL)

    kept = await read_backups(target, past)
    newest = min((one.age for one in kept.kept if one.age is not None), default=None)
    good = newest is not None and newest <= kept.rpo and not kept.problems
    problems = "; ".join(kept.problems)
    told = f"{backups.summary(kept)}{f'; {problems}' if problems else ''}"
    board = await read_drills(target, config.drills.targets, past)
    late = [one.source for one in board.states if one.overdue is not None]
    hint = f"dbdeck apply backup.drill -t {target.name} overdue=true" if late else ""
    said = drills.summary(board) if not board.problem else board.problem
    proved: bool | None = None if board.problem else not late
    return (
        Check(name="backups", ok=good, detail=told, hint="" if good else "`dbdeck show backups` lists them"),
        Check(name="drills", ok=proved, detail=said, hint=hint),
    )
