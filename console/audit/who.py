"""Who runs this process. Claims of this machine: only the login at the ledger's own server is verified."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import console
from console.os_user import account_name, os_user

_UNSET_LOGIN: Final = str(2**32 - 1)  # the kernel's "no login": services, cron, some containers
_SOURCES: Final = (".py", ".sql", ".yaml", ".tcss")


def claims() -> dict[str, object]:
    """`os_user` is the account of `uid`, by the kernel, as `login_user` is of `loginuid`, which is set at
    login and survives sudo and su: it tells who became root. `sudo_user` and `ssh_connection` are the
    environment's word. None where there is none.
    """
    login = _loginuid()
    return {
        "os_user": os_user(),
        "uid": os.getuid(),
        "loginuid": login,
        "login_user": None if login is None else account_name(login),
        "sudo_user": os.environ.get("SUDO_USER"),
        "ssh_connection": os.environ.get("SSH_CONNECTION"),
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def _loginuid() -> int | None:
    try:
        text = Path("/proc/self/loginuid").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return None if text == _UNSET_LOGIN else int(text)


@cache
def code_hash() -> str:
    """SHA-256 over names and contents of dbdeck's own sources, so that a ledger tells which code
    wrote it."""
    root = str(Path(console.__file__).parent.parent)
    digest = hashlib.sha256()
    for name in sorted(_sources(root), key=lambda name: name.split("/")):
        digest.update(f"{name}\0".encode())
        # Each start that may write reads hundreds of files: a path's own read takes half as long again.
        with open(f"{root}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def _sources(root: str) -> Iterator[str]:
    """Their names below the root. There are hundreds at each start: rglob takes three times as long."""
    for package in ("console", "actions", "runbooks"):
        for folder, _, names in os.walk(f"{root}/{package}"):
            inside = folder[len(root) + 1 :]
            yield from (f"{inside}/{name}" for name in names if name.endswith(_SOURCES))
