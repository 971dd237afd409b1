"""Who runs this process, for the policy: a claim of this machine."""

from __future__ import annotations

import getpass
import grp
import os
from functools import cache

from console.dispatch.ruling import Who


@cache
def person() -> Who:
    """The account of this process and its groups; those without a name are left out."""
    return Who(user=getpass.getuser(), groups=tuple(name for one in os.getgroups() if (name := _name(one))))


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return ""
