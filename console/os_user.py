"""Who runs this process, as the kernel has it: LOGNAME, USER and their like say what anybody likes."""

from __future__ import annotations

import os
import pwd


def os_user() -> str:
    """The account of the process' real uid: the one that started it, whatever sets another for files."""
    return account_name(os.getuid())


def account_name(uid: int) -> str:
    """Its number where it has no name here, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
