"""What the process gives up before it holds any secret, and what it makes good before it opens any file.

Files it makes are its owner's alone. A crash writes no memory to disk: the limit stops core files, and being
not dumpable stops handlers such as systemd-coredump, which no limit stops, as well as other programs of the
same user that would read the memory or attach to it. prctl(2) PR_SET_DUMPABLE, core(5).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys

_SET_DUMPABLE = 4
_STDERR = 2


def harden() -> None:
    """For the whole life of the process; what the system does not know is left out."""
    _stand_in()
    os.umask(0o077)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def _stand_in() -> None:
    """For those of stdin, stdout and stderr that the caller closed (`2>&-`): the next file that is opened, a
    journal for one, would get its number, and in it what anybody writes to that number.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(number, True)  # a program that is started here has the same need
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Until the process ends; pathlib is a twentieth of what a look at --help takes.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
