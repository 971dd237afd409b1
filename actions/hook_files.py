"""Hooks that write a client's own file: `.pgpass` and MySQL's option files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actions.hook_carrier import Handed, Seen, Sighted, State
from console.dispatch import files
from console.dispatch.operator import Operator
from console.errors import ActionFailed
from console.model import option_file, pgpass
from console.model.hooks import MyCnfHook, PgpassHook
from console.model.target import Target

Fault = Callable[[str, str], str]  # (text, password) -> why a client does not get it; "" where it does
Put = Callable[[str, str], str]  # (text, password) -> the new text


class FileCarrier:
    """`what` is the part of the file that is the account's."""

    def __init__(self, path: str, what: str, fault: Fault, put: Put) -> None:
        self._path = Path(path).expanduser()
        self._what = what
        self._fault = fault
        self._put = put

    @property
    def effects(self) -> tuple[str, ...]:
        return (f"write {self._path}: {self._what}",)

    @property
    def once(self) -> str:
        return ""

    async def look(self) -> Sighted:
        return sighted(await files.look(self._path), self._path, self._what)

    async def seen(self, handed: Handed) -> Seen:
        try:
            text = await files.read(self._path)
        except ActionFailed as error:
            return Seen(State.OPEN, error.message)
        if text is None:
            return Seen(State.OPEN, f"there is no {self._path}")
        why = self._fault(text, handed.secret.reveal())
        return Seen(State.OPEN if why else State.DONE, f"{self._path}: {why}" if why else "")

    async def carry(self, operator: Operator, handed: Handed) -> Seen:
        def change(text: str | None) -> str:
            return self._put(text or "", handed.secret.reveal())

        await operator.write_file(self._path, change, self._what)
        return await self.seen(handed)


def sighted(seen: files.Sight, path: Path, what: str) -> Sighted:
    if seen.fault:
        remedy = f": {seen.remedy}" if seen.remedy else ""
        return Sighted(f"{path}: {what}", warning=f"it would fail: {seen.fault}{remedy}")
    now = f"there, mode {seen.mode:04o}" if seen.there else "not there: it is made, mode 0600"
    return Sighted(f"{path}: {what}; {now}")


def of_pgpass(hook: PgpassHook, user: str, target: Target) -> FileCarrier:
    host = hook.host or ("localhost" if target.local else target.host)
    key = pgpass.Key(host, str(hook.port or target.port), hook.database, user)
    return FileCarrier(
        hook.path,
        f"the lines of {user} for {host}:{key.port}, database {hook.database}",
        lambda text, password: pgpass.fault(text, key, password),
        lambda text, password: pgpass.with_password(text, key, password),
    )


def of_my_cnf(hook: MyCnfHook, user: str) -> FileCarrier:
    return FileCarrier(
        hook.path,
        f"the password in [{hook.section}]",
        lambda text, password: option_file.fault(text, hook.section, user, password),
        lambda text, password: option_file.with_password(text, hook.section, user, password),
    )
