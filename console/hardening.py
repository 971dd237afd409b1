"""What the process gives up before it holds any secret.

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


def harden() -> None:
    """For the whole life of the process; what the system does not know is left out."""
    os.umask(0o077)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
