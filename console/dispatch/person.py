"""Who runs this process, for the policy: a claim of this machine."""

from __future__ import annotations

import grp
import os
import pwd
from functools import cache

from console.dispatch.ruling import Who


@cache
def person() -> Who:
    """The account of this process and its groups, as the kernel has them: LOGNAME says what anybody likes.

    The primary group need not be among the others. Groups without a name are left out.
    """
    groups = {os.getgid(), os.getegid(), *os.getgroups()}
    return Who(
        user=_account(os.getuid()), groups=tuple(name for one in sorted(groups) if (name := _name(one)))
    )


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)  # of a container, say: it has a number and no name


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return ""
