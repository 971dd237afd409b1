"""The port through which an action keeps secrets: never on the event loop, never longer than a deadline."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from console.errors import OutcomeUnknown, SecretsUnavailable
from console.keyrings import Pinned, current
from console.model.target import Target
from console.secrets import Secret, in_keyring, split_name

SECONDS = 10.0
T = TypeVar("T")


class SecretStore(Protocol):
    """Secrets by SERVICE/NAME. Every `get` reads what the store really holds.

    Everything raises SecretsUnavailable, VaultLocked or ConfigError when the store cannot be used; then
    nothing was changed. `put`, `claim` and `delete` raise OutcomeUnknown when no answer came in time: the
    secret may have been stored or not, and a later `get` tells.
    """

    @property
    def name(self) -> str:
        """For the ledger: which store."""

    @property
    def folder(self) -> Path | None:
        """Where it is kept on this machine; None where that is not ours to know."""

    async def get(self, name: str) -> Secret | None:
        """None where there is no such entry."""

    async def some(self, names: Sequence[str]) -> dict[str, Secret]:
        """Those of these entries that there are, by one look."""

    async def names(self) -> tuple[str, ...] | None:
        """Of all entries; None where the store cannot list them (all but the vault)."""

    async def put(self, name: str, secret: Secret) -> None:
        """On return it is stored for good."""

    async def claim(self, name: str, secret: Secret) -> Secret | None:
        """Store it where there is no such entry; what is kept then, by whoever was first.

        In the vault under its lock. Other keyrings have none: two at once may both write, and the later one
        is kept. Who needs the same value twice looks again.
        """

    async def delete(self, name: str) -> bool:
        """Whether there was such an entry. A second time it is false, and no error."""

    async def canary(self) -> None:
        """Store, read back, compare, delete, look again. Raises SecretsUnavailable naming what failed."""


class KeyringStore:
    """The pinned keyring. Each call makes a backend of its own, so that nothing is read from a cache.

    A caller that is cancelled leaves its call to the backend behind, and does not know its end.
    """

    def __init__(self, pinned: Pinned, seconds: float = SECONDS) -> None:
        self._pinned = pinned
        self._seconds = seconds

    @property
    def name(self) -> str:
        vault = self._pinned.vault
        return f"{self._pinned.name} {vault.path}" if vault is not None else self._pinned.name

    @property
    def folder(self) -> Path | None:
        return self._pinned.vault.path.parent if self._pinned.vault is not None else None

    async def get(self, name: str) -> Secret | None:
        service, entry = split_name(name)
        try:
            return await within(self._seconds, lambda: self._pinned.get(service, entry))
        except TimeoutError:
            raise self._unread(name) from None

    async def some(self, names: Sequence[str]) -> dict[str, Secret]:
        split = {split_name(name): name for name in names}
        try:
            found = await within(self._seconds, lambda: self._pinned.some(tuple(split)))
        except TimeoutError:
            raise self._unread("what it holds") from None
        return {split[name]: value for name, value in found.items()}

    async def names(self) -> tuple[str, ...] | None:
        try:
            found = await within(self._seconds, self._pinned.names)
        except TimeoutError:
            raise self._unread("what it holds") from None
        return None if found is None else tuple(f"{service}/{entry}" for service, entry in found)

    async def put(self, name: str, secret: Secret) -> None:
        service, entry = split_name(name)
        try:
            await within(self._seconds, lambda: self._pinned.put(service, entry, secret))
        except TimeoutError:
            raise self._unknown(name, "stored") from None

    async def claim(self, name: str, secret: Secret) -> Secret | None:
        service, entry = split_name(name)
        try:
            return await within(self._seconds, lambda: self._pinned.claim(service, entry, secret))
        except TimeoutError:
            raise self._unknown(name, "stored") from None

    async def delete(self, name: str) -> bool:
        service, entry = split_name(name)
        try:
            return await within(self._seconds, lambda: self._pinned.delete(service, entry))
        except TimeoutError:
            raise self._unknown(name, "removed") from None

    async def canary(self) -> None:
        await try_out(self)

    @property
    def _silent(self) -> str:
        return f"the keyring {self.name} gave no answer within {self._seconds:g} s"

    def _unread(self, what: str) -> SecretsUnavailable:
        return SecretsUnavailable(
            f"{self._silent}: nothing is known about {what}",
            "a keyring of a desktop may wait for somebody to unlock it",
        )

    def _unknown(self, name: str, done: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"{self._silent}: nothing is known about {name}; it may have been {done} or not",
            "read it back when the keyring answers again",
        )


def account_entry(target: Target, user: str) -> str | None:
    """The name of an account's entry; None where dbdeck logs in as it with a password kept elsewhere."""
    references = {one.password for one in (target.monitor, target.operator) if one and one.user == user}
    rule = target.rotation.accounts.get(user)
    given = rule.entry if rule is not None else None
    if not references:
        return given or f"dbdeck/{target.name}/{user}"
    references |= {f"keyring:{given}"} if given else set()
    kept = {one.removeprefix("keyring:") for one in references if one is not None and in_keyring(one)}
    return kept.pop() if len(kept) == len(references) == 1 else None


def of_this_process() -> SecretStore | None:
    """The keyring that was pinned; None in a process without a config."""
    pinned = current()
    return None if pinned is None else KeyringStore(pinned)


async def try_out(store: SecretStore) -> None:
    """The round trip of `canary`, over any store. Raises SecretsUnavailable, VaultLocked or ConfigError."""

    from console.vault.store import CANARY

    name = f"{CANARY}/{os.getpid()}-{secrets.token_hex(8)}"
    value = Secret(secrets.token_urlsafe(32))
    try:
        await store.put(name, value)
        found = await store.get(name)
        removed = await store.delete(name)
        left = await store.get(name)
    except OutcomeUnknown as error:
        raise SecretsUnavailable(error.message, f"an entry {name} may be left in it") from None
    if found != value:
        said = "nothing" if found is None else "another value"
        raise _unfit(store, f"it was given a value and gave back {said}")
    if not removed or left is not None:
        raise _unfit(store, f"the entry {name} could not be removed")


def _unfit(store: SecretStore, why: str) -> SecretsUnavailable:
    return SecretsUnavailable(
        f"the keyring {store.name} does not keep what it is given: {why}",
        "choose another with `keyring.backend` of the config",
    )


async def within(seconds: float, call: Callable[[], T]) -> T:
    """`call` in a thread of its own. Raises TimeoutError; the thread is left to itself then.

    Not one of the loop's threads: those are waited for at the end, and a keyring may hang for ever.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[Any], None], value: object) -> None:
        if not done.done():
            set_it(value)

    def work() -> None:
        try:
            answer, set_it = call(), done.set_result
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            tell(settle, done.set_exception, error)
        else:
            tell(settle, set_it, answer)

    def tell(*what: Any) -> None:
        try:
            loop.call_soon_threadsafe(*what)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=work, name="keyring", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await done
