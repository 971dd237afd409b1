"""Folders for vaults, and a disk that is really full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from console.secrets import Secret
from console.vault.masters import Masters
from console.vault.store import Vault

MASTER = Secret("correct horse battery staple")
CHEAP = 2**4  # scrypt's n: what is tried here is not how long a guess takes


def vault_at(folder: Path, master: Secret | None = MASTER) -> Vault:
    """Finds its master by itself, as with a credential; with None it has none."""
    return Vault(folder / "state" / "vault", Masters(("a test's word", lambda: master)), cost=CHEAP)


def can_mount() -> bool:
    """In a namespace of its own, so that trying it changes nothing."""
    attempt = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(attempt, check=False, capture_output=True).returncode == 0


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(mode=0o700)
    options = f"size={size},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def files(vault: Vault) -> list[str]:
    """Without the lock's file."""
    return sorted(one.name for one in vault.path.parent.iterdir() if one.suffix != ".lock")
