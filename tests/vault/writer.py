"""A process that writes: PATH PREFIX COUNT, the master on stdin. Each name is told once it is stored."""

from __future__ import annotations

import sys
from pathlib import Path

from console.secrets import Secret
from console.vault.masters import Masters
from console.vault.store import Vault
from tests.vault.disks import CHEAP


def main(path: str, prefix: str, count: str) -> None:
    master = Secret(sys.stdin.read())
    vault = Vault(Path(path), Masters(("stdin", lambda: master)), cost=CHEAP)
    for number in range(int(count)):
        vault.put("dbdeck", f"{prefix}{number}", Secret(f"value of {prefix}{number}"))
        sys.stdout.write(f"{prefix}{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
