"""Who acts is told by the kernel, not by the environment."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from console.audit.who import claims
from console.dispatch.person import person
from console.engine.open import whoami
from console.present.audit import started_by

NOBODY = pwd.getpwnam("nobody")
_TELL = "from console.dispatch.person import person; print(person().user, *person().groups)"


def test_a_name_in_the_environment_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    person.cache_clear()
    mine = pwd.getpwuid(os.getuid()).pw_name
    assert person().user == mine
    assert whoami().partition("@")[0] == mine
    assert (claims()["os_user"], claims()["uid"]) == (mine, os.getuid())


def test_who_became_root_is_told_by_the_kernel_where_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    for number, name in [(NOBODY.pw_uid, "nobody"), (3_999_999_999, "3999999999"), (None, None)]:
        monkeypatch.setattr("console.audit.who._loginuid", lambda number=number: number)
        told = claims()
        assert (told["loginuid"], told["login_user"], told["sudo_user"]) == (number, name, "ann")


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"os_user": "root", "login_user": "ann", "sudo_user": "eve"}, "root (logged in as ann)"),
        ({"os_user": "root", "login_user": None, "sudo_user": "ann"}, "root (logged in as ann)"),
        ({"os_user": "ann", "login_user": "ann", "sudo_user": None}, "ann"),
        ({"os_user": "ann", "loginuid": 1000}, "ann"),  # a row of before
        ({}, ""),
    ],
)
def test_a_row_tells_who_started_it(who: dict[str, object], said: str) -> None:
    assert started_by(who) == said


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("extra", [[], [NOBODY.pw_gid]])
def test_the_primary_group_is_one_of_the_groups(extra: list[int]) -> None:
    """getgroups(2) need not name it: of a service often none is there."""
    imported = subprocess.run(
        [sys.executable, "-c", f"import os; os.setgroups({extra}); os.setgid({NOBODY.pw_gid}); {_TELL}"],
        capture_output=True, text=True, check=True, env={**os.environ, "LOGNAME": "x"},
    )  # fmt: skip
    assert "nogroup" in imported.stdout.split()[1:], imported
