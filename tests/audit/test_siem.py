"""Lines for a log collector: every value stays in its field."""

from __future__ import annotations

import json
import re
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from console.audit.record import Kind
from console.audit.siem import cef_line, json_line, severity
from tests.audit.forge import Forge

WRITER = UUID(int=1)
HOSTILE = st.text(st.sampled_from("a=|\\\n\r \"';\x1bü"), max_size=12)


def test_a_json_line_has_the_body_as_an_object() -> None:
    row = Forge().append(WRITER, {"action": "x", "n": 1}, kind=Kind.INTENT)
    found = json.loads(json_line(row))
    assert (found["kind"], found["body"]) == ("intent", {"action": "x", "n": 1})
    assert found["@timestamp"].endswith("Z")


@given(reason=HOSTILE, operator=HOSTILE, action=HOSTILE)
def test_no_value_ends_its_field_or_the_line(reason: str, operator: str, action: str) -> None:
    row = Forge().append(WRITER, {"action": action, "reason": reason, "operator": operator}, kind=Kind.INTENT)
    line = cef_line(row)
    assert len(line.splitlines()) == 1
    head = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert (head[0], head[1], head[4], len(head)) == ("CEF:0", "dbdeck", "intent", 8)
    keys = re.findall(r"(?:^| )([A-Za-z0-9]+)=", re.sub(r"\\.", "", head[7]))
    assert keys[:2] == ["rt", "externalId"]
    assert len(keys) == len(set(keys))


def test_severity_follows_kind_risk_and_status() -> None:
    assert severity("intent", {"risk": "high"}) == 7
    assert severity("outcome", {"status": "unknown"}) == 8
    assert severity("outcome", {"status": "applied"}) == 2
    assert severity("breakglass", {}) == 9
