"""Which approvals count before the ledger's server is asked to take them."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from console.dispatch.action import Plan, Risk
from console.dispatch.approving import ApprovalMissing, approved
from console.dispatch.ruling import Ruling
from tests.fakes import IDENTITY, NOW

PLAN = Plan(
    action="a", target="t", risk=Risk.LOW, args={}, subject={}, statements=(), server=IDENTITY, made_at=NOW
)
BODY = msgspec.json.encode({"plan_hash": PLAN.hash}).decode()


def ledger(*said: tuple[str, float]) -> Any:
    """Who approved, and how many seconds ago; oldest first. I am `me`."""
    rows = [
        SimpleNamespace(
            body=BODY, db_user=who, at=NOW - timedelta(seconds=ago), link=f"{who} {ago:g}".encode()
        )
        for who, ago in said
    ]

    async def approvals(_: object) -> Any:
        return rows

    return SimpleNamespace(approvals=approvals, own_person="me", now=NOW, person=lambda login: login)


async def links(wanted: int, *said: tuple[str, float]) -> list[str]:
    found = await approved(ledger(*said), PLAN, Ruling(effect="allow", approvals=wanted, within=60.0))
    return [bytes.fromhex(link).decode() for link in found.links]


async def test_the_newest_are_named_whoever_was_the_first_to_approve() -> None:
    assert await links(1, ("ann", 50), ("bob", 40), ("ann", 5)) == ["ann 5"]
    assert await links(2, ("ann", 50), ("bob", 40), ("ann", 5)) == ["bob 40", "ann 5"]


@pytest.mark.parametrize("said", [(("ann", 61.0),), (("me", 5.0),), (("", 5.0),), ()])
async def test_what_is_too_old_or_ones_own_is_none(said: Any) -> None:
    """So that who waits for another goes on waiting."""
    with pytest.raises(ApprovalMissing, match="wants 1 other"):
        await links(1, *said)


async def test_who_approved_a_saved_plan_approved_what_is_left_of_it() -> None:
    left = msgspec.structs.replace(PLAN, subject={"title": "less"}, part_of=PLAN.hash)
    wanted = Ruling(effect="allow", approvals=1, within=60.0)
    found = await approved(ledger(("ann", 5)), left, wanted)
    assert (found.plan_hash, len(found.links)) == (PLAN.hash, 1)
    other = msgspec.structs.replace(left, part_of="ab" * 32)
    with pytest.raises(ApprovalMissing, match=other.hash):
        await approved(ledger(("ann", 5)), other, wanted)
