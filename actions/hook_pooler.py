"""The hook for PgBouncer: the server's verifier in its userlist, a RELOAD, and a login through it.

The list has to hold the verifier byte for byte as the server keeps it: PgBouncer proves itself to the server
with the keys in it, and with another salt of the same password it is refused. It logs in to a server that
refused it again after `server_login_retry`, 15 s.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from actions.hook_carrier import Handed, Seen, Sighted, State
from actions.hook_files import sighted
from console.dispatch import files
from console.dispatch.operator import Operator
from console.engine import pooler
from console.errors import ActionFailed
from console.model import userlist
from console.model.hooks import PgbouncerHook
from console.model.probe import Answer, Probe
from console.model.verifiers import Verifier, matches

PATIENCE_SECONDS = 20.0
RETRY_SECONDS = 1.0
_ITS_LIST = "`userlist` is the auth_file of its config"


class PoolerCarrier:
    def __init__(self, hook: PgbouncerHook, user: str) -> None:
        self._hook = hook
        self._user = user
        self._path = Path(hook.userlist).expanduser()

    @property
    def effects(self) -> tuple[str, ...]:
        return (
            f"write {self._path}: {self._what}",
            f"RELOAD of PgBouncer at {self._hook.admin.way.address}: {self._why}",
        )

    @property
    def _what(self) -> str:
        return f"the verifier of {self._user}, as the server keeps it"

    @property
    def _why(self) -> str:
        return f"it is to read the new verifier of {self._user}"

    @property
    def once(self) -> str:
        return ""

    async def look(self) -> Sighted:
        sight = await files.look(self._path)
        if not sight.there and not sight.fault:
            line = f"{self._path}: {self._what}"
            return Sighted(
                line, warning=f"it would fail: there is no {self._path}, and none is made: {_ITS_LIST}"
            )
        found = sighted(sight, self._path, self._what)
        unheard = [
            f"nobody answers at {way.address}: {why}"
            for way in dict.fromkeys((self._hook.admin.way, self._hook.verify))
            if (why := await pooler.knock(way))
        ]
        line = f"{found.line}; then RELOAD at {self._hook.admin.way.address}, and a login through it"
        if found.warning or not unheard:
            return found._replace(line=line)
        return Sighted(line, warning=f"it would fail: {'; '.join(unheard)}")

    async def seen(self, handed: Handed) -> Seen:
        if handed.verifier is None:
            return Seen(State.UNKNOWN, handed.no_verifier)
        try:
            why = await self._listed(handed.verifier)
        except ActionFailed as error:
            return Seen(State.OPEN, error.message)
        if why:
            return Seen(State.OPEN, why)
        answer = await self._log_in(handed)
        if answer.answer is Answer.ACCEPTED:
            return Seen(State.DONE)
        return Seen(State.OPEN, f"a login through it: {answer.why or answer.answer}")

    async def carry(self, operator: Operator, handed: Handed) -> Seen:
        verifier = _fitting(handed)
        if await self._listed(verifier):
            await operator.write_file(self._path, lambda text: _put(text, self._user, verifier), self._what)
        await operator.reload(self._hook.admin, self._why)
        seen = await self._let_in(handed)
        if seen.state is not State.DONE:
            return seen
        return seen._replace(why=await self._old(handed))

    async def _listed(self, verifier: Verifier) -> str:
        """Why the list is not right; empty where it is. Raises ActionFailed where it cannot be read."""
        text = await files.read(self._path)
        if text is None:
            return f"there is no {self._path}"
        why = userlist.fault(text, self._user, verifier.reveal())
        return f"{self._path}: {why}" if why else ""

    async def _log_in(self, handed: Handed) -> Probe:
        return await pooler.login(self._hook.verify, self._user, handed.secret)

    async def _let_in(self, handed: Handed) -> Seen:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            seen = await self.seen(handed)
            if seen.state is not State.OPEN or time.monotonic() >= until:
                return seen
            await asyncio.sleep(RETRY_SECONDS)

    async def _old(self, handed: Handed) -> str:
        """Whether the old password still gets in, which it may while an overlap lasts."""
        if handed.previous is None or handed.previous == handed.secret:
            return ""
        old = await pooler.login(self._hook.verify, self._user, handed.previous)
        told = {
            Answer.ACCEPTED: "the old password still gets in through it",
            Answer.REJECTED: "the old password is refused",
        }
        return told.get(old.answer, f"whether the old password is refused is not known: {old.why}")


def _put(text: str | None, user: str, verifier: Verifier) -> str:
    if text is None:
        raise ActionFailed("there is no such file; none was made", _ITS_LIST)
    return userlist.with_verifier(text, user, verifier.reveal())


def _fitting(handed: Handed) -> Verifier:
    """Raises ActionFailed where it is not known, or is not that of the secret."""
    if handed.verifier is None:
        raise ActionFailed(f"{handed.no_verifier}; nothing was written")
    if not handed.verifier.kind.checkable or not matches(handed.verifier, handed.secret):
        raise ActionFailed(
            "the verifier that the server keeps does not fit the stored secret; nothing was written",
            "was the password changed by somebody else?",
        )
    return handed.verifier
