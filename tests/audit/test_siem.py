"""Lines for a log collector: every value stays in its field."""

from __future__ import annotations

import json
import re
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.audit.anchors import log_line
from console.audit.chain import Head
from console.audit.checkpoint import Checkpoint, new_key, sign
from console.audit.export import line_of, parse_line
from console.audit.record import Kind
from console.audit.siem import cef_line, json_line, severity
from console.audit.syslog import receipt_line
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


# A reader of CEF that shares nothing with the writer: ArcSight's "Common Event Format", revision 25.


def read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """Raises ValueError for a backslash that escapes nothing."""
    fields, rest = [], line
    for _ in range(7):
        field, rest = upto_pipe(rest)
        fields.append(field)
    starts = [
        found for found in re.finditer(r"(?:^| )([A-Za-z0-9]+)=", rest) if not escaped(rest, found.end() - 1)
    ]
    ends = [*(found.start() for found in starts[1:]), len(rest)]
    values = [unescaped(rest[one.end() : end], "=nr") for one, end in zip(starts, ends, strict=True)]
    return fields, dict(zip((one[1] for one in starts), values, strict=True))


def escaped(text: str, place: int) -> bool:
    return bool((place - len(text[:place].rstrip("\\"))) % 2)


def upto_pipe(text: str) -> tuple[str, str]:
    place = next(at for at, char in enumerate(text) if char == "|" and not escaped(text, at))
    return unescaped(text[:place], "|"), text[place + 1 :]


def unescaped(text: str, others: str) -> str:
    said, chars = [], iter(text)
    for char in chars:
        if char in "=|" and char in others:
            raise ValueError(f"a bare {char}")
        after = next(chars) if char == "\\" else ""
        if after and after not in "\\" + others:
            raise ValueError(f"nothing to escape: {after}")
        said.append({"n": "\n", "r": "\r", "": char}.get(after, after))
    return "".join(said)


def told(text: str) -> str:
    """What a collector is to read: what does not print as JSON has it, and nothing else changed."""
    kept = "\n\r\u00a0\u3000"
    return "".join(char if char in kept or char.isprintable() else f"\\u{ord(char):04x}" for char in text)


ODD = st.text(st.sampled_from('a=|\\\n\r "nr\u00a0\u3000üA\x1b\x7f\x85\u2028\u202e'), max_size=14)


@given(reason=ODD, operator=ODD, action=ODD, peer=ODD)
@example(reason="a\\", operator="=", action="|\\", peer="x=1 suser=eve")
@example(reason="a\r\nb", operator="日本\u3000語", action="a\u00a0b", peer="::1")
def test_a_reader_of_cef_finds_each_value_again(reason: str, operator: str, action: str, peer: str) -> None:
    body = {"action": action, "reason": reason, "operator": operator}
    row = msgspec.structs.replace(Forge().append(WRITER, body, kind=Kind.INTENT), peer=peer)
    fields, found = read_cef(cef_line(row))
    assert fields[:2] == ["CEF:0", "dbdeck"]
    assert fields[4] == "intent"
    assert fields[5] == told(" ".join(f"intent {action}".split()))
    assert found.get("reason", "") == told(reason)
    assert found["suser"] == told(operator or "dba")
    assert found.get("c6a2" if peer == "::1" else "shost", "") == told(peer)
    assert found["externalId"] == "1"


@pytest.mark.parametrize(
    ("peer", "field"),
    [("10.0.0.1", "src"), ("2001:db8::1", "c6a2"), ("app.example.net", "shost"), ("1.2", "shost")],
)
def test_an_address_is_in_the_field_of_its_kind(peer: str, field: str) -> None:
    row = msgspec.structs.replace(Forge().append(WRITER, {}), peer=peer)
    found = read_cef(cef_line(row))[1]
    assert {name: found[name] for name in ("src", "c6a2", "shost") if name in found} == {field: peer}
    assert ("c6a2Label" in found) == (field == "c6a2")


def test_no_value_is_longer_than_its_field() -> None:
    body = dict.fromkeys(
        ("action", "reason", "operator", "target", "ticket", "statement", "status"), "=" * 9000
    )
    fields, found = read_cef(cef_line(Forge().append(WRITER, body)))
    assert len(fields[5]) == 512
    assert {name: len(found[name]) for name in ("reason", "suser", "dhost", "msg", "outcome", "cs3")} == {
        "reason": 1023, "suser": 1023, "dhost": 1023, "msg": 1023, "outcome": 63, "cs3": 4000,
    }  # fmt: skip


def test_lines_for_a_syslog_are_shorter_than_it_may_cut() -> None:
    """RFC 3164, 4.1: 1024 bytes with the head. Nothing in them is anybody's text."""
    private, _ = new_key()
    signed = sign(Checkpoint(heads={WRITER: Head(1, b"x" * 32)}, rows=10**15, previous=b"x" * 32), private)
    row = Forge().append(WRITER, {"reason": "x" * 9000}, kind=Kind.BREAKGLASS)
    for line in (log_line(signed), receipt_line(WRITER, row)):
        assert len(line) + 100 < 1024
        assert line.isascii()
        assert line.isprintable()


def test_severity_follows_kind_risk_and_status() -> None:
    assert severity("intent", {"risk": "high"}) == 7
    assert severity("outcome", {"status": "unknown"}) == 8
    assert severity("outcome", {"status": "applied"}) == 2
    assert severity("breakglass", {}) == 9
