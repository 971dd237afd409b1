"""The Operator: the only thing that changes a server, and it records each effect before it happens."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.dispatch.action import Watch
from console.engine.port import OperatorConnection, Row, Statement
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

    @property
    def user(self) -> str:
        return self._connection.user

    async def execute(self, statement: Statement, *, timeout: float = 15.0) -> list[Row]:
        """Record the statement durably, then run it; `timeout` is the client's deadline in seconds.

        Raises ActionFailed (refused by the server, or not recorded and so not sent) and
        OutcomeUnknown (sent, and the answer was lost).
        """
        body = {**self._about, "step": self.steps + 1, "statement": statement.shown, "timeout": timeout}
        try:
            await self._ledger.append(Kind.STEP, self._action_id, body)
        except AuditUnavailable as error:
            raise ActionFailed(
                f"the step was not recorded and therefore not executed: {error.message}", error.hint
            ) from None
        self.steps += 1
        return await self._connection.run(statement, timeout=timeout)
