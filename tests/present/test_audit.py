"""The text of a row of the ledger."""

from __future__ import annotations

from uuid import uuid4

import msgspec
import pytest

from console.audit import chain
from console.audit.verify import Fault, Verification
from console.present import audit
from tests.audit.forge import entry, row


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ('{"a":1,"b":["x"]}', ["{", '  "a": 1,', '  "b": [', '    "x"', "  ]", "}"]),
        ("{broken", ["{broken"]),
        (None, ["(redacted)"]),
    ],
)
def test_a_body_is_shown_over_several_lines(body: str | None, lines: list[str]) -> None:
    made = entry(row(chain.Head(0, chain.START), uuid4()), 1, chain.START)
    assert audit.text(msgspec.structs.replace(made, body=body)).splitlines() == lines


def test_a_fault_is_told_by_what_is_known_of_its_place() -> None:
    """What is missing has no number, and an auditor read of "row None"."""
    writer = uuid4()
    faults = (
        Fault(3, writer, 2, "link"),
        Fault(None, writer, 6, "receipt"),
        Fault(12, None, None, "row"),
        Fault(None, writer, None, "journal"),
        Fault(None, None, None, "checkpoint"),
    )
    said = audit.verdict(Verification(rows=5, writers=1, faults=faults, open_intents=()))
    assert said == [
        "5 rows of 1 writer: 5 FAULTS",
        f"  row 3, writer {writer}, seq 2: link",
        f"  missing row, writer {writer}, seq 6: receipt",
        "  row 12: row",
        f"  writer {writer}: journal",
        "  checkpoint",
    ]
