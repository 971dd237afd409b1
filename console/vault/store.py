"""The vault: entries by (service, name) in one file. Every call reads the file; nothing of it is cached."""

from __future__ import annotations

import stat
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from console.errors import SecretsUnavailable, UsageError, VaultLocked
from console.secrets import Secret
from console.vault.disk import DAMAGED, Disk
from console.vault.masters import Masters, new_key, opening
from console.vault.sealed import (
    LARGEST,
    DamagedError,
    Header,
    Kdf,
    Key,
    Name,
    Sealed,
    open_entries,
    open_value,
    parse,
    seal,
    seal_value,
)

COST: Final = 2**16
"""scrypt's n: 64 MiB and about half a second for each guess at the master."""
CANARY: Final = "dbdeck-canary"
"""Entries of this service come and go to prove that the store works; no generation is kept for them."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can be put back. `at` is None for one that is not whole."""

    number: int
    at: datetime | None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What can be told without the master. `generation` is None where there is no vault yet."""

    path: Path
    generation: int | None = None
    at: datetime | None = None
    mode: int | None = None
    kept: tuple[Generation, ...] = ()


class _Opened(NamedTuple):
    header: Header
    key: Key
    entries: Mapping[Name, bytes]


class Vault:
    """Blocking; call it off the event loop. Threads and processes may share a path.

    Raises VaultLocked and WrongMaster, and SecretsUnavailable for a file that is damaged, open to
    others or cannot be written; then nothing was changed, unless it is OutcomeUnknown.
    """

    def __init__(self, path: Path, masters: Masters, *, cost: int = COST) -> None:
        self.path = path
        self.masters = masters
        self._disk = Disk(path)
        self._cost = cost

    def again(self) -> Vault:
        """Another object over the same file and key."""
        return Vault(self.path, self.masters, cost=self._cost)

    # ---- entries -----------------------------------------------------------------------------

    def get(self, service: str, name: str) -> Secret | None:
        sealed = self._load()
        if sealed is None:
            return None
        opened = self._open(sealed)
        value = opened.entries.get((service, name))
        return None if value is None else self._value(opened, (service, name), value)

    def put(self, service: str, name: str, value: Secret) -> bool:
        """Whether it replaced an entry. On return it is on the disk. Makes a vault where there is none."""

        def change(opened: _Opened) -> tuple[bool, dict[Name, bytes]]:
            sealed = seal_value(opened.header, opened.key, (service, name), value)
            return (service, name) in opened.entries, {**opened.entries, (service, name): sealed}

        return self._change(change, passing=service == CANARY)

    def claim(self, service: str, name: str, value: Secret) -> Secret:
        """The value there is, or this one where there is none: of several at once all get the same."""
        kept = value

        def change(opened: _Opened) -> tuple[bool, dict[Name, bytes] | None]:
            nonlocal kept
            if (there := opened.entries.get((service, name))) is not None:
                kept = self._value(opened, (service, name), there)
                return True, None
            sealed = seal_value(opened.header, opened.key, (service, name), value)
            return False, {**opened.entries, (service, name): sealed}

        self._change(change, passing=False)
        return kept

    def delete(self, service: str, name: str) -> bool:
        """Whether there was such an entry."""

        def change(opened: _Opened) -> tuple[bool, dict[Name, bytes] | None]:
            if (service, name) not in opened.entries:
                return False, None
            return True, {key: value for key, value in opened.entries.items() if key != (service, name)}

        return self._change(change, passing=service == CANARY)

    def some(self, wanted: Iterable[Name]) -> dict[Name, Secret]:
        """Those of them that there are, all of one state of the file."""
        sealed = self._load()
        if sealed is None:
            return {}
        opened = self._open(sealed)
        there = [name for name in wanted if name in opened.entries]
        return {name: self._value(opened, name, opened.entries[name]) for name in there}

    def names(self) -> tuple[Name, ...]:
        """No value is opened."""
        sealed = self._load()
        return () if sealed is None else tuple(sorted(self._open(sealed).entries))

    # ---- the master --------------------------------------------------------------------------

    def exists(self) -> bool:
        """Raises SecretsUnavailable for a vault that is there and damaged."""
        return self._load() is not None

    def check(self) -> None:
        """Open it without asking anybody. Raises VaultLocked, also where there is no vault yet."""
        sealed = self._load()
        if sealed is None:
            raise VaultLocked(f"there is no vault {self.path} yet", "`dbdeck secret set` makes one")
        self._open(sealed)

    def unlock(self, master: Secret, generation: int | None = None) -> None:
        """With the master that the present, or that generation, has. Raises WrongMaster."""
        sealed = self._present() if generation is None else self._whole(generation)
        if sealed is None:
            raise self._no_generation(generation)
        key = opening(master, sealed.header, self.path)
        self._entries(sealed, key)
        self.masters.keep(key)

    def create(self, master: Secret | None = None) -> None:
        """An empty vault, with this master or the one that is found.

        Raises UsageError for an empty master, or where there is a vault already, and VaultLocked without.
        """
        fresh = self.masters.fresh
        key = fresh(self._cost, self.path) if master is None else new_key(master, self._cost)
        with self._disk.locked():
            if self._load() is not None:
                raise UsageError(f"there is a vault {self.path} already; nothing was changed in it")
            self._disk.replace(seal(self._first(key), {}, key), None)
        self.masters.keep(key)

    def change_master(self, master: Secret, *, forget: bool) -> None:
        """Every value is sealed anew. The generations before stay with the old master unless `forget`."""
        key = new_key(master, self._cost)
        with self._disk.locked():
            old = self._open(self._present())
            values = {name: self._value(old, name, value) for name, value in old.entries.items()}
            header = self._next(old.header, kdf=key.kdf, check=key.check)
            entries = {name: seal_value(header, key, name, value) for name, value in values.items()}
            self._disk.replace(seal(header, entries, key), old.header.generation)
            self._entries(self._present(), key)  # from the disk, before the old ones go
            self.masters.keep(key)
            if forget:
                self._disk.forget()

    # ---- generations -------------------------------------------------------------------------

    def restore(self, number: int) -> None:
        """Make an earlier generation the present one. Raises UsageError when there is none of that number.

        What was in the place of the vault is kept: as a generation, or as `vault.damaged`.
        """
        with self._disk.locked():
            raw = self._disk.read(number)
            if raw is None:
                raise self._no_generation(number)
            try:
                old = self._open(parse(raw))
            except DamagedError as error:
                raise self._damage(f"its generation {number}: {error}") from None
            keep = self._present_number() or DAMAGED
            header = self._next(old.header)
            self._disk.replace(seal(header, old.entries, old.key), keep)

    def state(self) -> State:
        """Raises SecretsUnavailable."""
        kept = tuple(self._generation(number) for number in self._disk.kept())
        sealed = self._load()
        if sealed is None:
            return State(path=self.path, kept=kept)
        mode = stat.S_IMODE(self.path.lstat().st_mode)
        header = sealed.header
        return State(path=self.path, generation=header.generation, at=header.at, mode=mode, kept=kept)

    def _no_generation(self, number: int | None) -> UsageError:
        known = ", ".join(str(one) for one in self._disk.kept())
        return UsageError(
            f"the vault {self.path} has no whole generation {number}; nothing was changed in it",
            f"it has: {known}" if known else "it has none",
        )

    def _generation(self, number: int) -> Generation:
        sealed = self._whole(number)
        return Generation(number=number, at=sealed.header.at if sealed else None)

    def _whole(self, number: int) -> Sealed | None:
        """An earlier generation, where it is not damaged as far as the key at hand can tell."""
        try:
            raw = self._disk.read(number)
            sealed = parse(raw) if raw is not None else None
            if sealed is not None and (key := self.masters.fitting(sealed.header)) is not None:
                open_entries(sealed, key)
        except (DamagedError, SecretsUnavailable):
            return None
        return sealed

    # ---- reading and writing -----------------------------------------------------------------

    def _load(self) -> Sealed | None:
        raw = self._disk.read()
        if raw is None:
            if self._disk.kept():
                raise self._damage("it is missing, and generations of it are there")
            return None
        try:
            return parse(raw)
        except DamagedError as error:
            raise self._damage(str(error)) from None

    def _present(self) -> Sealed:
        sealed = self._load()
        if sealed is None:
            raise UsageError(f"there is no vault {self.path} yet", "`dbdeck secret set` makes one")
        return sealed

    def _present_number(self) -> int | None:
        try:
            raw = self._disk.read()
            return parse(raw).header.generation if raw is not None else None
        except (DamagedError, SecretsUnavailable):
            return None

    def _open(self, sealed: Sealed) -> _Opened:
        key = self.masters.key(sealed.header, self.path)
        return _Opened(sealed.header, key, self._entries(sealed, key))

    def _entries(self, sealed: Sealed, key: Key) -> dict[Name, bytes]:
        try:
            return open_entries(sealed, key)
        except DamagedError as error:
            raise self._damage(str(error)) from None

    def _value(self, opened: _Opened, name: Name, value: bytes) -> Secret:
        try:
            return open_value(opened.header, opened.key, name, value)
        except DamagedError as error:
            raise self._damage(str(error)) from None

    def _change(
        self, change: Callable[[_Opened], tuple[bool, dict[Name, bytes] | None]], *, passing: bool
    ) -> bool:
        sealed = self._load()
        if sealed is not None:
            self.masters.key(sealed.header, self.path)  # not under the lock: others would wait half a second
        with self._disk.locked():
            sealed = self._load()
            if sealed is None:
                key = self.masters.fresh(self._cost, self.path)
                opened = _Opened(self._first(key), key, {})
            else:
                opened = self._open(sealed)
            answer, entries = change(opened)
            if entries is not None:
                self._write(opened, entries, passing=passing, new=sealed is None)
            return answer

    def _write(self, opened: _Opened, entries: Mapping[Name, bytes], *, passing: bool, new: bool) -> None:
        header = msgspec.structs.replace(opened.header if new else self._next(opened.header), passing=passing)
        data = seal(header, entries, opened.key)
        if len(data) > LARGEST:
            raise SecretsUnavailable(
                f"the vault {self.path} would be larger than {LARGEST >> 20} MiB; nothing was changed in it"
            )
        self._disk.replace(data, None if new or opened.header.passing else opened.header.generation)

    def _first(self, key: Key) -> Header:
        return Header(id=uuid.uuid4().hex, generation=1, at=datetime.now(UTC), kdf=key.kdf, check=key.check)

    def _next(self, header: Header, kdf: Kdf | None = None, check: bytes | None = None) -> Header:
        """Later than everything in the folder, so that a number never means two states."""
        newest = max([header.generation, self._present_number() or 0, *self._disk.kept()])
        return msgspec.structs.replace(
            header,
            generation=newest + 1,
            at=datetime.now(UTC),
            kdf=kdf or header.kdf,
            check=check or header.check,
            passing=False,
        )

    def _damage(self, reason: str) -> SecretsUnavailable:
        message = f"the vault {self.path} is damaged: {reason}; nothing was read from it or changed in it"
        for number in self._disk.kept():
            if (good := self._whole(number)) is not None:
                at = good.header.at.isoformat(timespec="seconds")
                return SecretsUnavailable(
                    f"{message}. The newest good generation is {number}, of {at}",
                    f"`dbdeck secret restore {number}` puts it back; what was stored after it is lost",
                )
        return SecretsUnavailable(
            f"{message}. There is no earlier generation of it", "restore a backup of it"
        )
