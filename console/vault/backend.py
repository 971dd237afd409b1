"""The vault as a backend of `keyring`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import keyring.backend
from keyring.errors import (
    InitError,
    KeyringError,
    KeyringLocked,
    PasswordDeleteError,
)

from console.errors import DbdeckError, VaultLocked
from console.secrets import Secret
from console.vault.masters import Masters, from_credential
from console.vault.store import Vault

DEFAULT = "~/.local/state/dbdeck/vault"


class VaultKeyring(keyring.backend.KeyringBackend):
    """Made by dbdeck for its own vault; made without arguments by who pins it by its name.

    `keyring` picks the backend with the highest priority, and never one below its own `fail` (0): this
    one is used by nobody who did not name it.
    """

    priority = -1

    def __init__(self, vault: Vault | None = None) -> None:
        # Not the base's: it would take properties from KEYRING_PROPERTY_* of the environment.
        self._vault = vault or Vault(Path(DEFAULT).expanduser(), Masters(from_credential(os.environ)))

    def set_properties_from_env(self) -> None:
        """Nothing about the vault comes from the environment, where others may read it."""

    def get_password(self, service: str, username: str) -> str | None:
        with _as_keyring_errors():
            found = self._vault.get(service, username)
        return None if found is None else found.reveal()

    def set_password(self, service: str, username: str, password: str) -> None:
        with _as_keyring_errors():
            self._vault.put(service, username, Secret(password))

    def delete_password(self, service: str, username: str) -> None:
        with _as_keyring_errors():
            found = self._vault.delete(service, username)
        if not found:
            raise PasswordDeleteError("there is no such entry")


@contextlib.contextmanager
def _as_keyring_errors() -> Iterator[None]:
    """What callers of `keyring` know; dbdeck finds the error itself as its cause."""
    try:
        yield
    except VaultLocked as error:
        raise KeyringLocked(error.message) from error
    except DbdeckError as error:
        raise (InitError if error.kind == "usage" else KeyringError)(error.message) from error
