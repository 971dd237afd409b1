"""The Operator: the only thing that changes a server, and it records each effect before it happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.dispatch.action import Action, Plan, Step, Stepwise, Verdict, Watch
from console.engine.port import Engine, OperatorConnection, Row, Statement
from console.errors import ActionFailed, AuditUnavailable


class Operator:
    """Made by the dispatcher for one action, after its intent was committed."""

    def __init__(
        self,
        connection: OperatorConnection,
        ledger: Ledger,
        action_id: UUID,
        about: Mapping[str, object],
        watch: Watch,
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._action_id = action_id
        self._about = about
        self.watch = watch
        self.steps = 0
        self.taken: list[Step] = []

    @property
    def user(self) -> str:
        return self._connection.user

    async def execute(
        self, statement: Statement, *, timeout: float = 15.0, subject: int | None = None
    ) -> list[Row]:
        """Record the statement durably, then run it; `timeout` is the client's deadline in seconds.

        `subject` is whom it is sent to, of several: then the row also tells what came of the step before.
        Raises ActionFailed (refused by the server, or not recorded and so not sent) and
        OutcomeUnknown (sent, and the answer was lost).
        """
        body = {**self._about, "step": self.steps + 1, "statement": statement.shown, "timeout": timeout}
        if subject is not None:
            before = self.taken[-1].answer if self.taken else None
            body |= {"subject": subject, "before": before}
        try:
            await self._ledger.append(Kind.STEP, self._action_id, body)
        except AuditUnavailable as error:
            raise ActionFailed(
                f"the step was not recorded and therefore not executed: {error.message}", error.hint
            ) from None
        self.steps += 1
        if subject is not None:
            self.taken.append(Step(subject=subject))
        return await self._connection.run(statement, timeout=timeout)

    def answered(self, subject: int, answer: str) -> None:
        """What came of the last step; nothing where that one was not recorded and so never sent."""
        if self.taken and self.taken[-1].subject == subject:
            self.taken[-1] = Step(subject=subject, answer=answer)


def steps_of(bodies: Iterable[Mapping[str, object]]) -> list[Step] | None:
    """The steps of one action from their rows, oldest first; None where they do not name their subjects."""
    rows = list(bodies)
    answers = [row.get("before") for row in rows[1:]]
    found = []
    for row, answer in zip(rows, [*answers, None], strict=True):
        subject = row.get("subject")
        if not isinstance(subject, int):
            return None
        found.append(Step(subject=subject, answer=None if answer is None else str(answer)))
    return found


async def proof(
    action: Action[Any], plan: Plan, engine: Engine, steps: Sequence[Step] | None, *, patience: float
) -> Verdict:
    """What the action says of its effect; `steps` None where nobody knows whom they went to."""
    if steps is not None and isinstance(action, Stepwise):
        return await action.verify_steps(plan, engine, steps, patience=patience)
    return await action.verify(plan, engine, patience=patience)
