"""What keeps a restored server from everybody: no network, no rights, no core dumps, and an end with ours.

The programs are those of util-linux. `unshare --net` gives each program a network namespace of its own that
has not even a loopback that is up; Unix sockets still work, as they are files.
"""

from __future__ import annotations

import os
import shutil
from functools import cache

from console import programs
from console.dispatch.lease import Account
from console.errors import ActionFailed

# access(2) asks by the real user, without capabilities, unless no_setuid_fixup is set (capabilities(7)).
_READS = (
    *("--securebits", "+no_setuid_fixup", "--bounding-set", "-all,+dac_read_search"),
    *("--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"),
)


@cache
def _tool(name: str) -> str | None:
    return shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")


def wrapped(account: Account, *, closed: bool, end: str = "KILL", reads: bool = False) -> list[str]:
    """The words before an argv. `end` is the signal it gets when we are gone, however we went.

    `reads`: where we are root, it may read what only we may, and has no other right of root's.
    Raises ActionFailed where the system has no such programs.
    """
    unshare, setpriv, prlimit = _tool("unshare"), _tool("setpriv"), _tool("prlimit")
    if setpriv is None or prlimit is None or (closed and unshare is None):
        raise ActionFailed(
            "a restored server cannot be fenced in: unshare, setpriv and prlimit are not all installed",
            "install util-linux",
        )
    root = os.geteuid() == 0
    words = [prlimit, "--core=0:0", "--"]
    if closed and unshare is not None:
        words += [unshare, *([] if root else ["--user", "--map-current-user"]), "--net", "--"]
    words += [setpriv, "--no-new-privs", "--pdeathsig", end]
    if root:
        words += ["--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups"]
        words += [*_READS] if reads else []
    return [*words, "--"]


async def objection(account: Account) -> str:
    """Why the kernel gives no network namespace here; empty where it does."""
    try:
        argv = [*wrapped(account, closed=True), "cat", "/proc/net/route", "/proc/net/ipv6_route"]
        heard = await programs.hear(programs.Call(argv, seconds=10))
    except ActionFailed as error:
        return error.message
    if heard.code != 0:
        return heard.why
    # A kernel may ignore what it does not know: only what the child sees counts. Its first line is a header.
    routes = [line for line in heard.answer.splitlines()[1:] if not line.rstrip().endswith(b" lo")]
    return "the namespace has routes" if routes else ""
