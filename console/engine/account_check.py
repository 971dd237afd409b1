"""The offline look at the passwords of a server's accounts, for the command and the pane alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from console.engine.port import Engine
from console.errors import PrivilegeMissing
from console.model.account_findings import Checked, findings
from console.model.accounts import Accounts, judged
from console.model.drift import Drifts
from console.model.guessing import SECONDS, Guesses, Stored, common, guess
from console.model.rotation import Rule


async def nobody(_: Accounts) -> Drifts:
    return Drifts()


async def check(
    engine: Engine,
    rule: Rule,
    *,
    seconds: float = SECONDS,
    look: Callable[[Accounts], Awaitable[Drifts]] = nobody,
) -> Checked:
    """Nobody logs in: guesses are compared with the stored verifiers, in a thread, for `seconds` at most.

    The monitor's login reads them, and no other: an operator's connection is opened only for what is
    recorded. `look` compares passwords with what our rotations set. Raises an Unreachable error where the
    accounts themselves may not be read.
    """
    read = await engine.accounts()
    drifts = await look(read)
    found = judged(read, rule, drifts)
    notes = [*(f"unknown: {gap.what}. {gap.remedy}" for gap in found.gaps), *drifts.notes]
    guesses: Guesses | None = None
    try:
        stored = await engine.verifiers()
    except PrivilegeMissing as missing:
        notes.append(f"no password was checked: {missing.message}. {missing.hint}")
    else:
        locked = {one.key for one in found.accounts if not one.may_login or one.system}
        guesses = await _in_a_thread([one for one in stored if one.key not in locked], seconds)
    return Checked(
        findings=findings(found, guesses),
        accounts=len(found.accounts),
        guesses=guesses,
        notes=tuple(dict.fromkeys(notes)),
    )


async def _in_a_thread(stored: list[Stored], seconds: float) -> Guesses:
    """Who stops waiting for it ends it at its next guess."""
    stopped = threading.Event()
    try:
        return await asyncio.to_thread(guess, stored, common(), seconds=seconds, stop=stopped.is_set)
    finally:
        stopped.set()
