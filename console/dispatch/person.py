"""Who runs this process, for the policy: a claim of this machine."""

from __future__ import annotations

import grp
import os
from functools import cache

from console.dispatch.ruling import Who
from console.os_user import os_user


@cache
def person() -> Who:
    """The account of this process and its groups, as the kernel has them.

    The primary group need not be among the others. Groups without a name are left out.
    """
    groups = {os.getgid(), os.getegid(), *os.getgroups()}
    return Who(user=os_user(), groups=tuple(name for one in sorted(groups) if (name := _name(one))))


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return ""
