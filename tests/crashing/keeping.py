"""What those who die keep: the real vault, with a cheap key, and the passwords of their environment."""

from __future__ import annotations

import os
from pathlib import Path

from keyring.backend import KeyringBackend

from console.keyrings import VAULT, Pinned
from console.secret_store import KeyringStore
from console.secrets import Secret
from console.vault.backend import VaultKeyring
from console.vault.masters import Masters
from console.vault.store import Vault
from tests.integration.actions.rotors import FIRST
from tests.integration.runbooks.backed_up import PASSWORD
from tests.servers import accounts

CHEAP = 2**4
MASTER = Secret("the master of this test")


def store_at(path: Path) -> KeyringStore:
    vault = Vault(path, Masters(("the test", lambda: MASTER)), cost=CHEAP)

    def opened() -> KeyringBackend:
        return VaultKeyring(vault.again())

    return KeyringStore(Pinned(VAULT, "the test", opened, vault))


def publish() -> None:
    """The variables that the targets of the scenarios name."""
    accounts.publish()
    os.environ["DBDECK_TEST_APP"] = accounts.PASSWORDS[accounts.APP]
    os.environ["DBDECK_TEST_ROWS"] = FIRST.reveal()
    os.environ["DBDECK_TEST_BACKUP"] = PASSWORD
