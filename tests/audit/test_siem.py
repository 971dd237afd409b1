"""Lines for a log collector: every value stays in its field."""

from __future__ import annotations

import json
import re
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from console.audit.export import line_of, parse_line
from console.audit.record import Kind
from console.audit.siem import cef_line, json_line, severity
from tests.audit.forge import Forge

WRITER = UUID(int=1)
# With what ends a line for some (NEL, U+2028, VT), what a terminal obeys, and an odd one above U+FFFF.
HOSTILE = st.text(st.sampled_from("a=|\\\n\r \"';\x1bü\x0b\t\x7f\x85\u2028\u202e\U000e0041"), max_size=12)


def test_a_json_line_has_the_body_as_an_object() -> None:
    row = Forge().append(WRITER, {"action": "x", "n": 1}, kind=Kind.INTENT)
    found = json.loads(json_line(row))
    assert (found["kind"], found["body"]) == ("intent", {"action": "x", "n": 1})
    assert found["@timestamp"].endswith("Z")


@given(reason=HOSTILE, operator=HOSTILE, action=HOSTILE)
def test_no_value_ends_its_field_or_the_line(reason: str, operator: str, action: str) -> None:
    row = Forge().append(WRITER, {"action": action, "reason": reason, "operator": operator}, kind=Kind.INTENT)
    line = cef_line(row)
    assert line.isprintable()
    head = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert (head[0], head[1], head[4], len(head)) == ("CEF:0", "dbdeck", "intent", 8)
    keys = re.findall(r"(?:^| )([A-Za-z0-9]+)=", re.sub(r"\\.", "", head[7]))
    assert keys[:2] == ["rt", "externalId"]
    assert len(keys) == len(set(keys))


@given(reason=HOSTILE)
def test_a_json_line_is_one_and_says_the_same(reason: str) -> None:
    row = Forge().append(WRITER, {"reason": reason}, kind=Kind.INTENT)
    for line in (json_line(row), line_of(row)):
        assert line.isprintable()
    assert json.loads(json_line(row))["body"] == {"reason": reason}
    assert parse_line(line_of(row).encode()) == row


def test_severity_follows_kind_risk_and_status() -> None:
    assert severity("intent", {"risk": "high"}) == 7
    assert severity("outcome", {"status": "unknown"}) == 8
    assert severity("outcome", {"status": "applied"}) == 2
    assert severity("breakglass", {}) == 9
