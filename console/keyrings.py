"""Which keyring: one backend, pinned by the config, and never what happens to be found.

What `keyring` picks by itself differs between a desktop and an SSH line of the same user, so that one
would read what the other never stored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from console.errors import ConfigError, DbdeckError, SecretsUnavailable, UsageError
from console.secrets import Secret, use_keyring

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

    from console.vault.masters import Source
    from console.vault.store import Vault

VAULT = "vault"
VARIABLE = "PYTHON_KEYRING_BACKEND"
T = TypeVar("T")

_KNOWN = {
    "secret-service": "keyring.backends.SecretService.Keyring",
    "pass": "keyring_pass.PasswordStoreBackend",
}
_INSTALL = {"keyring_pass": "pipx inject dbdeck keyring-pass"}
_REFUSED = {
    "null": "it forgets what it is given",
    "fail": "it is what keyring answers when it found none",
    "plaintext": "it does not encrypt",
    "chainer": "it reads here and writes there, so that an old value hides a new one",
    "auto": "what is picked on a desktop is not what is picked over SSH",
}
_WRITE = "write `keyring: {backend: vault}`, or secret-service, pass, or a backend's class as a.dotted.Name"


class Keyring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section of the config. Without a backend $PYTHON_KEYRING_BACKEND decides, else it is the vault."""

    backend: str | None = None
    vault: str = "~/.local/state/dbdeck/vault"


class Pinned:
    """The backend of this process. Blocking; errors are of our tree, and hold no value.

    `name` is what the ledger and doctor call it, `by` who chose it. `vault` is None for other backends.
    """

    def __init__(self, name: str, by: str, opened: Callable[[], KeyringBackend], vault: Vault | None) -> None:
        self.name = name
        self.by = by
        self.vault = vault
        self._opened = opened

    def open(self) -> KeyringBackend:
        """A fresh object. Raises ConfigError for a backend that cannot be used here."""
        return self._opened()

    def get(self, service: str, name: str) -> Secret | None:
        return self._ask(lambda: _secret(self.open().get_password(service, name)), "read")

    def some(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Secret]:
        """Those of them that there are; of the vault all from one state of its file."""

        def look() -> dict[tuple[str, str], Secret]:
            if self.vault is not None:
                return self.vault.again().some(names)
            backend = self.open()
            found = {name: _secret(backend.get_password(*name)) for name in names}
            return {name: value for name, value in found.items() if value is not None}

        return self._ask(look, "read")

    def names(self) -> tuple[tuple[str, str], ...] | None:
        """None where the backend has no way to list them: `keyring` knows none."""
        vault = self.vault
        return None if vault is None else self._ask(lambda: vault.again().names(), "read")

    def put(self, service: str, name: str, value: Secret) -> None:
        self._ask(lambda: self.open().set_password(service, name, value.reveal()), "written")

    def claim(self, service: str, name: str, value: Secret) -> Secret | None:
        """Store it where there is none, and give back what is kept then."""

        def look_and_store() -> Secret | None:
            if self.vault is not None:
                return self.vault.again().claim(service, name, value)
            if (found := _secret(self.open().get_password(service, name))) is not None:
                return found
            self.open().set_password(service, name, value.reveal())
            return _secret(self.open().get_password(service, name))

        return self._ask(look_and_store, "written")

    def delete(self, service: str, name: str) -> bool:
        """Whether there was such an entry."""

        from keyring.errors import PasswordDeleteError

        def remove() -> bool:
            backend = self.open()
            if backend.get_password(service, name) is None:
                return False
            try:
                backend.delete_password(service, name)
            except PasswordDeleteError:
                if self.open().get_password(service, name) is not None:
                    raise
                return False  # another process was faster
            return True

        return self._ask(remove, "written")

    def _ask(self, question: Callable[[], T], done: str) -> T:
        """A backend is any module at all: of what it raises only the name is told: a text may hold a value.

        Raised outside of the `except`, so that no frame in which a value was a plain string is held.
        """
        from keyring.errors import KeyringError

        try:
            return question()
        except DbdeckError as error:
            known = _again(error)
        except Exception as error:  # noqa: BLE001 - see above
            if isinstance(error.__cause__, DbdeckError):
                known = _again(error.__cause__)
            else:
                told = f": {error}" if isinstance(error, KeyringError) and done == "read" else ""
                known = SecretsUnavailable(
                    f"the keyring {self.name} cannot be {done}: {type(error).__name__}{told}",
                    "is it running and unlocked? `dbdeck doctor` tells which one it is",
                )
        raise known


def _secret(value: str | None) -> Secret | None:
    return None if value is None else Secret(value)


def _again(error: DbdeckError) -> DbdeckError:
    """Without the frames in which a value was a plain string."""
    return type(error)(error.message, error.hint)


def check(backend: str) -> None:
    """Raises ConfigError for a word that is no backend, and for backends that lose or show what they hold."""
    if backend == VAULT or backend in _KNOWN:
        return
    for word in _words(backend):
        if word in _REFUSED:
            raise ConfigError(f"the keyring backend {backend} is refused: {_REFUSED[word]}", _WRITE)
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", backend):
        raise ConfigError(f"there is no keyring backend {backend!r}", _WRITE)


def _words(backend: str) -> list[str]:
    """keyring.backends.null.Keyring, keyrings.alt.file.PlaintextKeyring: by the words in their names."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", backend)]


_current: Pinned | None = None


def current() -> Pinned | None:
    """What `pin` chose; None in a process without a config."""
    return _current


def pin(section: Keyring, given: Source | None = None, environ: Mapping[str, str] = os.environ) -> Pinned:
    """Choose the backend of this process; `keyring:` references are looked up in it from now on.

    `given` is the master that the caller was started with. Nothing is opened yet, and a backend that is
    refused is told when it is used: the environment may name one for other programs.
    """
    global _current  # noqa: PLW0603 - a process has one keyring, as it has one config
    named = environ.get(VARIABLE)
    backend = section.backend or named or VAULT
    by = "the config" if section.backend else f"${VARIABLE}" if named else "default"
    made = _vault(section, given, environ, by) if backend == VAULT else _other(backend, by)
    use_keyring(made.get)
    _current = made
    return made


def _vault(section: Keyring, given: Source | None, environ: Mapping[str, str], by: str) -> Pinned:
    from console.vault.masters import Masters, from_credential
    from console.vault.store import Vault

    sources = [given] if given else []
    vault = Vault(Path(section.vault).expanduser(), Masters(*sources, from_credential(environ)))

    def opened() -> KeyringBackend:
        from console.vault.backend import VaultKeyring

        return VaultKeyring(vault.again())

    return Pinned(VAULT, by, opened, vault)


def _other(backend: str, by: str) -> Pinned:
    path = _KNOWN.get(backend, backend)
    return Pinned(backend, by, lambda: _load(path), None)


def _load(path: str) -> KeyringBackend:
    from keyring.core import load_keyring

    check(path)
    module = path.partition(".")[0]
    try:
        backend = load_keyring(path)
    except ImportError:
        hint = _INSTALL.get(module, f"install {module} beside dbdeck, or {_WRITE}")
        raise ConfigError(f"the keyring backend {path} is not installed", hint) from None
    except Exception as error:  # noqa: BLE001 - a pinned backend is any module at all
        raise ConfigError(
            f"the keyring backend {path} cannot be used here: {str(error) or type(error).__name__}", _WRITE
        ) from None
    for kind in type(backend).__mro__:
        if kind.__module__ != "keyring.backend":
            _refuse_kind(f"{kind.__module__}.{kind.__qualname__}", path)
    return backend


def _refuse_kind(name: str, path: str) -> None:
    try:
        check(name if "." in name else f"builtins.{name}")
    except ConfigError as error:
        if "refused" in error.message:
            raise ConfigError(f"the keyring backend {path} is refused: it is a {name}", _WRITE) from None


def no_listing(pinned: Pinned) -> UsageError:
    return UsageError(
        f"the keyring {pinned.name} cannot do that: it is of the vault alone; nothing was changed",
        "use that keyring's own tools, or write `keyring: {backend: vault}`",
    )
