"""Which action a rotation that broke off is gone on with, however long ago it was."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Kind
from console.dispatch import history


async def intent(ledger: Ledger, rotation: str, target: str = "t") -> UUID:
    number = uuid4()
    body = {
        "action": "credential.rotate",
        "target": target,
        "subject": {"accounts": [{"rotation": rotation}]},
    }
    await ledger.append(Kind.INTENT, number, body)
    return number


async def test_one_that_is_not_among_the_last_rows_is_found_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "ROWS", 2)
    async with open_ledger(f"sqlite:///{tmp_path}/audit.db", tmp_path / "journal") as ledger:
        await intent(ledger, "old")
        resumed = await intent(ledger, "old")
        await intent(ledger, "old", target="elsewhere")
        last = [await intent(ledger, f"new-{number}") for number in range(3)]
        found = await history.actions_of(ledger, "t", ["old", "new-2", "never"])
    assert found == {"old": str(resumed), "new-2": str(last[2])}
