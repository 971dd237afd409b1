"""The table: every registered action on every engine it is for, or why not."""

from __future__ import annotations

from collections.abc import Mapping

from tests.crashing import on_copies, on_credentials, on_maintenance, on_sessions
from tests.crashing.situation import Scenario

ALL: tuple[Scenario, ...] = (
    *on_sessions.SCENARIOS,
    *on_maintenance.SCENARIOS,
    *on_credentials.SCENARIOS,
    *on_copies.SCENARIOS,
)

WITHOUT: Mapping[tuple[str, str], str] = {}
"""(action, flavor) that no scenario is for, with the reason."""


def of_flavor(flavor: str) -> list[Scenario]:
    return [one for one in ALL if flavor in one.flavors]
