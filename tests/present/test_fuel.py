"""How near the transaction numbers are to their end."""

from __future__ import annotations

import pytest

from console.model.wraparound import Numbers, xid_limits
from console.present.tables import fuel


@pytest.mark.parametrize(
    ("age", "rate", "said"),
    [
        (120_000_000, None, "xid age 120M of 2.1G"),
        (120_000_000, 1000.0, "xid age 120M of 2.1G, stop in 23d10h"),
        (2_120_000_000, None, "xid age 2.1G of 2.1G, 24M left"),
        (2_144_500_000, 1000.0, "xid: none left, the server refuses what needs one (database other)"),
    ],
)
def test_what_is_left_is_told_once_the_server_warns(age: int, rate: float | None, said: str) -> None:
    limits = xid_limits(170000, 200_000_000, 1_600_000_000)
    assert fuel(Numbers(kind="xid", age=age, limits=limits, database="other", rate=rate)) == said
