"""Effects on several sessions, one after the other: each recorded and each checked by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actions import session_statements as statements
from actions.following import pause
from actions.session_proof import Aim, PartlyRefused, Sent, Verb
from actions.words import counted
from console.dispatch.action import Plan, Result
from console.dispatch.operator import Operator
from console.engine.port import Statement
from console.errors import ActionFailed
from console.model.target import ServerIdentity

STATEMENT_LIMIT = 300


def frozen(aims: Sequence[Aim]) -> list[dict[str, Any]]:
    """As a plan's subject keeps them; long statements are cut, they are not part of the identity."""
    made: list[dict[str, Any]] = []
    for aim in aims:
        session = msgspec.structs.replace(aim.session, query=(aim.session.query or "")[:STATEMENT_LIMIT])
        made.append(msgspec.to_builtins(msgspec.structs.replace(aim, session=session)))
    return made


def aims_of(plan: Plan) -> list[Aim]:
    return msgspec.convert(plan.subject["sessions"], list[Aim])


def statement(server: ServerIdentity, aim: Aim) -> Statement:
    if aim.verb is Verb.CANCEL:
        return statements.cancel(server, aim.session)
    return statements.terminate(server, aim.session, aim.transaction, aim.idle)


async def end_each(plan: Plan, operator: Operator, *, seconds: float = 0.0, refusals: int = 1) -> Result:
    """Send the statements in their order; none after `watch.stop`, nor after `refusals` in a row.

    `seconds` is the pause after a session that others wait behind, so that those it frees are not a
    stampede together with the next ones. Raises ActionFailed when nothing at all was sent, and
    PartlyRefused when the server refused some of them.
    """
    run = _Run(plan, operator, refusals)
    aims = aims_of(plan)
    for place, aim in enumerate(aims):
        if operator.watch.stop.is_set() or run.given_up:
            break
        await run.send(aim, f"{place + 1} of {len(aims)}")
        if aim.blocks and place + 1 < len(aims):
            await pause(operator.watch.stop, seconds)
    return run.result(len(aims))


class _Run:
    def __init__(self, plan: Plan, operator: Operator, refusals: int) -> None:
        self._plan = plan
        self._operator = operator
        self._patience = refusals
        self._in_a_row = 0
        self._sent: list[int] = []
        self._spared: list[int] = []
        self._refused: list[tuple[int, ActionFailed]] = []

    @property
    def given_up(self) -> bool:
        return self._in_a_row >= self._patience

    async def send(self, aim: Aim, place: str) -> None:
        number = aim.session.id
        try:
            rows = await self._operator.execute(statement(self._plan.server, aim), subject=number)
            matched = statements.outcome(rows, self._operator.user).matched
        except ActionFailed as error:
            self._in_a_row += 1
            self._refused.append((number, error))
            self._operator.answered(number, Sent.REFUSED)
            self._operator.watch.tell(f"{place}: session {number} was refused: {error.message}")
            return
        self._in_a_row = 0
        (self._sent if matched else self._spared).append(number)
        self._operator.answered(number, Sent.SENT if matched else Sent.SPARED)
        told = f"was told to {'end' if aim.verb is Verb.TERMINATE else 'cancel its statement'}"
        self._operator.watch.tell(
            f"{place}: session {number} {told if matched else 'was spared: it changed'}"
        )

    def result(self, planned: int) -> Result:
        evidence = {"sent": self._sent, "spared": self._spared}
        if not self._refused:
            return Result(matched=bool(self._sent), evidence=evidence)
        number, first = self._refused[0]
        if not self._sent:
            raise first
        others = planned - len(self._sent) - len(self._spared)
        raise PartlyRefused(
            f"session {number}: {first.message}; of {planned}, {counted(others, 'session')} not ended",
            first.hint,
        )
