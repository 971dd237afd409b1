"""The hook that runs a program, which gets the secret on its standard input."""

from __future__ import annotations

import shlex

from actions.hook_carrier import Handed, Seen, Sighted, State
from console.dispatch import process
from console.dispatch.operator import Operator
from console.errors import ActionFailed
from console.model.hooks import ExecHook
from console.present.units import clean
from console.secrets import one_line

_SAID = 300


class ExecCarrier:
    """Its check is the exit code of a run: that it was 0 is noted in the ledger, and nothing else tells."""

    def __init__(self, hook: ExecHook) -> None:
        self._hook = hook

    @property
    def effects(self) -> tuple[str, ...]:
        return (f"run {shlex.join(self._hook.argv)}: {self._how}",)

    @property
    def _how(self) -> str:
        return f"the secret on its standard input, {self._hook.timeout} at most"

    @property
    def once(self) -> str:
        return shlex.join(self._hook.argv)

    async def look(self) -> Sighted:
        why, remedy = process.unfit(self._hook.argv)
        return Sighted(f"runs {shlex.join(self._hook.argv)}: {self._how}", missing=why, remedy=remedy)

    async def seen(self, handed: Handed) -> Seen:  # noqa: ARG002 - nothing tells
        return Seen(State.UNKNOWN, "whether its program has run cannot be seen")

    async def carry(self, operator: Operator, handed: Handed) -> Seen:
        why, remedy = process.unfit(self._hook.argv)
        if why:
            raise ActionFailed(f"{why}; it was not run", remedy)
        if not one_line(handed.secret):
            raise ActionFailed("the secret has a line end in it, and is to be one line; it was not run")
        ended = await operator.run_command(
            self._hook.argv, stdin=handed.secret, seconds=self._hook.seconds, what=self._how
        )
        said = clean(ended.output.strip(), _SAID)
        how = f"{self._hook.argv[0]} {ended.how}"
        if ended.code == 0:
            return Seen(State.DONE, f"it said: {said}" if said else "")
        return Seen(State.OPEN, f"{how}{f'; it said: {said}' if said else ' and said nothing'}")
