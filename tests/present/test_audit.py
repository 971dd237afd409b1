"""The text of a row of the ledger."""

from __future__ import annotations

from uuid import uuid4

import msgspec
import pytest

from console.audit import chain
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
