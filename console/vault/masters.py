"""Where the vault's master comes from when nobody is asked, and the key it became: made once a process."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from console.errors import UsageError, VaultLocked, WrongMaster
from console.named_file import read_named
from console.secrets import Secret, from_line
from console.vault.sealed import Header, Key, derive, new_kdf

CREDENTIAL: Final = "dbdeck-vault"
FD_SECONDS: Final = 10.0
_LONGEST: Final = 4096
WAYS: Final = (
    f"give it with --master-key-fd N, as the systemd credential {CREDENTIAL}, "
    "or be asked for it at a terminal or in the console"
)
Source = tuple[str, Callable[[], Secret | None]]
"""What a master came by, in words, and how to get it: None where that way was not taken."""


class Masters:
    """Finds a key for a vault; threads that want it at once wait for one derivation.

    The master itself is not kept. A key is bound to its salt: when another process changes the master,
    the vault is locked again here.
    """

    def __init__(self, *sources: Source) -> None:
        self._sources = sources
        self._mutex = threading.Lock()
        self._key: Key | None = None
        self._wrong: dict[bytes, str] = {}

    def key(self, header: Header, path: Path) -> Key:
        """Raises VaultLocked without a master, and WrongMaster for one that does not fit."""
        with self._mutex:
            if self._key is not None and self._key.fits(header):
                return self._key
            if header.kdf.salt in self._wrong:
                raise wrong(self._wrong[header.kdf.salt], path)  # trying it again would cost half a second
            key = self._found(header, path)
            self._key = key
            return key

    def _found(self, header: Header, path: Path) -> Key:
        for words, find in self._sources:
            master = find()
            if master is None:
                continue
            key = derive(master, header.kdf)
            if key.fits(header):
                return key
            self._wrong[header.kdf.salt] = words
            raise wrong(words, path)
        raise locked(path)

    def fresh(self, n: int, path: Path) -> Key:
        """For a vault that is being made. Raises VaultLocked where there is no master but by asking."""
        with self._mutex:
            for _, find in self._sources:
                if (master := find()) is not None:
                    self._key = new_key(master, n)
                    return self._key
        raise VaultLocked(f"there is no vault {path} yet, and no master to make one with", WAYS)

    def keep(self, key: Key) -> None:
        with self._mutex:
            self._key = key

    def fitting(self, header: Header) -> Key | None:
        """The key that is there already, where it fits."""
        key = self._key
        return key if key is not None and key.fits(header) else None


def locked(path: Path) -> VaultLocked:
    return VaultLocked(f"the vault {path} is locked and no master was given; nothing was read from it", WAYS)


def wrong(words: str, path: Path) -> WrongMaster:
    return WrongMaster(
        f"{words} is not the master of the vault {path}; nothing was read from it",
        "a generation from before a change of the master opens with the one it had then",
    )


def opening(master: Secret, header: Header, path: Path) -> Key:
    """What a person typed. Raises WrongMaster."""
    key = derive(master, header.kdf)
    if not key.fits(header):
        raise wrong("that", path)
    return key


def new_key(master: Secret, n: int) -> Key:
    """Raises UsageError for an empty master."""
    refuse_empty(master)
    return derive(master, new_kdf(n))


def refuse_empty(master: Secret) -> None:
    if master == Secret(""):
        raise UsageError("the master of a vault must not be empty; nothing was made")


def from_credential(environment: Mapping[str, str]) -> Source:
    """systemd's LoadCredential= or LoadCredentialEncrypted=: a file that only the service may read."""

    def find() -> Secret | None:
        folder = environment.get("CREDENTIALS_DIRECTORY")
        if not folder:
            return None
        path = Path(folder) / CREDENTIAL
        try:
            return _text(read_named(path), f"the credential {path}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultLocked(f"the credential {path} cannot be read: {error.strerror}") from None

    return f"what the systemd credential {CREDENTIAL} holds", find


def from_fd(number: int) -> Source:
    """A master that the caller wrote to a pipe or a file: read at once, and given once, so as not to stay.

    Raises UsageError for a descriptor that is not open, is a terminal, is stdout or stderr, or stays silent.
    """
    found = [read_fd(number)]
    return f"what came on file descriptor {number}", lambda: found.pop() if found else None


def read_fd(number: int) -> Secret:
    what = f"file descriptor {number}"
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        raise UsageError(
            f"{what} is not open; nothing was started",
            f"as in: dbdeck --master-key-fd {number} … {number}< <(pass dbdeck)",
        ) from None
    if number in (1, 2) or stat.S_ISCHR(mode):
        raise UsageError(f"{what} is a terminal, a device or an output: no master is read from it")
    try:
        return _text(_drain(number, what), what)
    finally:
        if number:  # stdin stays, at its end
            os.close(number)


def _drain(number: int, what: str) -> bytes:
    data = b""
    while len(data) <= _LONGEST:
        if not select.select([number], [], [], FD_SECONDS)[0]:
            raise UsageError(f"nothing came on {what} for {FD_SECONDS:g} s; nothing was started")
        part = os.read(number, _LONGEST + 1)
        if not part:
            return data
        data += part
    del data, part
    raise UsageError(f"what came on {what} is longer than {_LONGEST} bytes; nothing was started")


def _text(data: bytes, what: str) -> Secret:
    """Without the newline that an editor or `echo` puts at the end."""
    master = from_line(data)
    del data  # no error below has it in its frame
    if master is None:
        raise UsageError(f"{what} holds no UTF-8 text; nothing was started")
    if master == Secret(""):
        raise UsageError(f"{what} holds an empty master; nothing was started")
    return master
