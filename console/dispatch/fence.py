"""What keeps a restored server from everybody: no network, no rights, no core dumps, and an end with ours.

The programs are those of util-linux. `unshare` gives each program namespaces of its own: a network without
even a loopback that is up (Unix sockets still work, as they are files: see `mute`); process numbers, so that
with the program all ends that it started; and shared memory, so that none is left. When we are gone, however
we went, the kernel kills `unshare`, and with it the program.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
from functools import cache
from typing import NamedTuple

from console import programs
from console.dispatch.lease import Account
from console.errors import ActionFailed, Refused

# access(2) asks by the real user, without capabilities, unless no_setuid_fixup is set (capabilities(7)).
_READS = (
    *("--securebits", "+no_setuid_fixup", "--bounding-set", "-all,+dac_read_search"),
    *("--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"),
)


# (AUDIT_ARCH_*, number of connect) of linux/audit.h and unistd.h.
_CONNECT = {
    "x86_64": (0xC000003E, 42),
    "aarch64": (0xC00000B7, 203),
    "riscv64": (0xC00000F3, 203),
    "ppc64le": (0xC0000015, 328),
    "s390x": (0x80000016, 362),
}
# A filter of seccomp(2), in classic BPF: connect is denied, and so is all of another kind of machine.
_MUTE = """
import ctypes, os, struct, sys
arch, connect, denied = map(int, sys.argv[1:4])
steps = ((0x20, 0, 0, 4), (0x15, 0, 2, arch), (0x20, 0, 0, 0), (0x15, 0, 1, connect),
         (0x06, 0, 0, 0x50000 | denied), (0x06, 0, 0, 0x7FFF0000))
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in steps))
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
prctl = ctypes.CDLL(None, use_errno=True).prctl
wanted = Filter(len(steps), ctypes.addressof(code))
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.byref(wanted), 0, 0):
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[4], sys.argv[4:])
"""


def mute() -> list[str]:
    """The words before those of `wrapped` for a server: it, and all that it starts, is called and never
    calls. A network of its own does not keep it from the Unix sockets of others, which are files.

    Raises ActionFailed on a machine whose numbers of system calls are not known here.
    """
    known = _CONNECT.get(platform.machine())
    if known is None:
        raise ActionFailed(f"connections cannot be denied on {platform.machine()}")
    own = os.path.realpath("/proc/self/exe")
    # Who started us may have had the right to run it, and we not.
    python = own if os.access(own, os.X_OK) else _tool("python3") or own
    return [python, "-I", "-S", "-c", _MUTE, *(str(one) for one in (*known, errno.EACCES))]


@cache
def _tool(name: str) -> str | None:
    return shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")


class Fence(NamedTuple):
    """What a program is kept from: `closed` the network, `apart` the processes and memory of others."""

    closed: bool
    apart: bool


def wrapped(account: Account, of: Fence, *, end: str = "KILL", reads: bool = False) -> list[str]:
    """The words before an argv. `end` is the signal a program that is not apart gets when we are gone.

    `reads`: where we are root, it may read what only we may, and has no other right of root's.
    Raises ActionFailed where the system has no such programs.
    """
    unshare, setpriv, prlimit = _tool("unshare"), _tool("setpriv"), _tool("prlimit")
    if setpriv is None or prlimit is None or (unshare is None and any(of)):
        raise ActionFailed(
            "a restored server cannot be fenced in: unshare, setpriv and prlimit are not all installed",
            "install util-linux",
        )
    root = os.geteuid() == 0
    words = [prlimit, "--core=0:0", "--", setpriv, "--pdeathsig", "KILL" if of.apart else end, "--"]
    if unshare is not None and any(of):
        words += [unshare, *([] if root else ["--user", "--map-current-user"])]
        words += ["--net"] if of.closed else []
        words += ["--ipc", "--pid", "--fork", "--kill-child"] if of.apart else []
        words += ["--"]
    words += [setpriv, "--no-new-privs"]
    if root and account.uid != 0:
        words += ["--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups"]
        words += [*_READS] if reads else []
    # Changing the user takes the signal of the parent's death away; so it is set anew.
    words += ["--pdeathsig", "KILL" if of.apart else end]
    return [*words, "--"]


async def possible(account: Account, *, closed: bool) -> Fence:
    """The best fence there is here. Raises Refused where it is to be closed and cannot be."""
    if closed:
        why = await objection(account)
        if why:
            raise Refused(
                f"a restored server cannot be kept from the network here: {why}; nothing was restored",
                "allow user namespaces, run as root, or write `network: open` below `drills` in the config",
            )
        return Fence(closed=True, apart=True)
    try:
        words = wrapped(account, Fence(closed=False, apart=True))
        heard = await programs.hear(programs.Call([*words, "true"], seconds=10))
    except ActionFailed:
        return Fence(closed=False, apart=False)
    return Fence(closed=False, apart=heard.code == 0)


async def objection(account: Account) -> str:
    """Why the kernel gives no network namespace here; empty where it does."""
    try:
        argv = [
            *mute(),
            *wrapped(account, Fence(closed=True, apart=True)),
            "cat",
            "/proc/net/route",
            "/proc/net/ipv6_route",
        ]
        heard = await programs.hear(programs.Call(argv, seconds=10))
    except ActionFailed as error:
        return error.message
    if heard.code != 0:
        return heard.why
    # A kernel may ignore what it does not know: only what the child sees counts. Its first line is a header.
    routes = [line for line in heard.answer.splitlines()[1:] if not line.rstrip().endswith(b" lo")]
    return "the namespace has routes" if routes else ""
