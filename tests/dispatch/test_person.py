"""Who acts is told by the kernel, not by the environment."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from console.dispatch.person import person

NOBODY = pwd.getpwnam("nobody")
_TELL = "from console.dispatch.person import person; print(person().user, *person().groups)"


def test_a_name_in_the_environment_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    person.cache_clear()
    assert person().user == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("extra", [[], [NOBODY.pw_gid]])
def test_the_primary_group_is_one_of_the_groups(extra: list[int]) -> None:
    """getgroups(2) need not name it: of a service often none is there."""
    imported = subprocess.run(
        [sys.executable, "-c", f"import os; os.setgroups({extra}); os.setgid({NOBODY.pw_gid}); {_TELL}"],
        capture_output=True, text=True, check=True, env={**os.environ, "LOGNAME": "x"},
    )  # fmt: skip
    assert "nogroup" in imported.stdout.split()[1:], imported
