"""Rows that are junk: each is named as a finding, and hides no other."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from console.audit.checkpoint import LABEL, Checkpoint, Signed, new_key, text_of
from console.audit.export import export_lines, verify_exports
from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.audit.writer import Draft
from console.errors import LedgerFault, UsageError
from console.present import audit as words
from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink

PRIVATE, PUBLIC = new_key()
_KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(PRIVATE.reveal()))


def signed(text: str) -> str:
    """A checkpoint whose signature is genuine and whose text is what it is."""
    made = Signed(text=text, key=PUBLIC, signature=_KEY.sign(LABEL + text.encode()).hex())
    return json.dumps({"checkpoint": msgspec.to_builtins(made)})


GOOD = json.loads(text_of(Checkpoint(heads={}, rows=1)))
WRITER = str(uuid4())
# What a row of the kind `checkpoint` may hold, where whoever may append appended it.
BODIES = {
    "nothing": "",
    "no JSON": "this is no JSON",
    "a null": "null",
    "a list": "[]",
    "no checkpoint": "{}",
    "a null checkpoint": '{"checkpoint":null}',
    "wrong types": '{"checkpoint":{"text":1,"key":[],"signature":{}}}',
    "more than there is": '{"checkpoint":{"text":"","key":"","signature":"","more":1}}',
    "no hex": '{"checkpoint":{"text":"{}","key":"zz","signature":"\\u0661"}}',
    "a short key": '{"checkpoint":{"text":"{}","key":"00","signature":"00"}}',
    "a signature of nothing": json.dumps({"checkpoint": {"text": "{}", "key": PUBLIC, "signature": ""}}),
    "NULs": '{"checkpoint":{"text":"\\u0000","key":"\\u0000","signature":"\\u0000"}}',
    "half a character": json.dumps({"checkpoint": {"text": "\ud800", "key": PUBLIC, "signature": "00" * 64}}),
    "deep": '{"checkpoint":' + "[" * 100_000,
    "deep and whole": '{"checkpoint":' + "[" * 100_000 + "]" * 100_000 + "}",
    "a long number": '{"checkpoint":' + "9" * 10_000 + "}",
    "huge": '{"checkpoint":"' + "x" * 2_000_000 + '"}',
    "signed: no JSON": signed("this is no JSON"),
    "signed: deep": signed("[" * 100_000),
    "signed: wrong types": signed(json.dumps({**GOOD, "rows": "many"})),
    "signed: no writer": signed(json.dumps({**GOOD, "heads": {"me": [1, ""]}})),
    "signed: a number beyond all": signed(json.dumps({**GOOD, "heads": {WRITER: [10**30, "00"]}})),
    "signed: before the first": signed(json.dumps({**GOOD, "heads": {WRITER: [-(10**9), "00"]}})),
    "signed: a root that is none": signed(json.dumps({**GOOD, "root": "xyz"})),
    "signed: after itself": signed(json.dumps({**GOOD, "previous": "00" * 32})),
}


async def planted(ledger: Ledger, body: str, kind: Kind = Kind.CHECKPOINT) -> int:
    """As any writer can: through the front door, with a text of its own."""
    made = await ledger._writing().append(Draft(kind=kind, action_id=uuid4(), body=body))
    assert made.id is not None
    return made.id


async def found(sink: Sink, disk: Path, trusted: tuple[str, ...]) -> dict[int | None, set[str]]:
    async with sink.open(write=False, journal=disk / "no journals") as ledger:
        faults = (await ledger.verify(trusted=trusted)).faults
    return {one.id: {other.kind for other in faults if other.id == one.id} for one in faults}


@pytest.mark.parametrize("trusted", [(), (PUBLIC,)], ids=["any key", "a trusted key"])
async def test_junk_for_a_checkpoint_is_named_and_hides_nothing(
    sink: Sink, disk: Path, trusted: tuple[str, ...]
) -> None:
    async with sink.open() as ledger:
        first = await ledger.append(Kind.STEP, uuid4(), {"n": 1})
        junk = {name: await planted(ledger, body) for name, body in BODIES.items()}
        last = await ledger.append(Kind.STEP, uuid4(), {"n": 1})
    changed = [f"update {{entry}} set body = '{{{{\"n\":2}}}}' where id = {row.id}" for row in (first, last)]
    await sink.attack(*changed)
    faults = await found(sink, disk, trusted)
    assert {name for name, row in junk.items() if not faults.get(row)} == set()
    assert all(faults[row] <= {"signature", "checkpoint"} for row in junk.values())
    assert {row for row, kinds in faults.items() if kinds == {"body"}} == {first.id, last.id}
    assert len(faults) == len(junk) + 2
    async with sink.open(write=False) as ledger:
        assert await ledger.base((PUBLIC,)) is None


@pytest.mark.parametrize("kind", [Kind.BREAKGLASS, Kind.REDACTION, Kind.OUTCOME])
async def test_junk_in_a_row_that_is_looked_into_is_no_error(sink: Sink, disk: Path, kind: Kind) -> None:
    async with sink.open() as ledger:
        for body in (
            "",
            "[]",
            '{"event":"begin","unknown":"unknown"',
            '{"unknown":"unknown",' + "[" * 100_000,
        ):
            await planted(ledger, body, kind)
        last = await ledger.append(Kind.STEP, uuid4(), {"n": 1})
    await sink.attack(f"update {{entry}} set body = '{{{{\"n\":2}}}}' where id = {last.id}")
    assert await found(sink, disk, ()) == {last.id: {"body"}}


_SQLITE = {
    "a kind of bytes": "kind = x'00ff'",
    "a time that is none": "at = 'soon'",
    "a time without its zone": "at = '2026-01-01T00:00:00'",
    "the first moment": "at = '0001-01-01T00:00:00Z'",
    "a number for a time": "at = 12.5",
    "no writer": "writer = 'x'",
    "a word for a number": "seq = 'three'",
    "a body of bytes": "body = x'fffe'",
    "a body that is no text": "body = cast(x'7bff7d' as text)",
    "a login that is no text": "db_user = cast(x'ff00ff' as text)",
    "a hash of text": "seal = 'seal'",
    "a huge kind": "kind = hex(zeroblob(1000000))",
}
_POSTGRES = {
    "the end of time": "at = 'infinity'",
    "before all time": "at = '-infinity'",
    "before our time": "at = '0044-03-15 00:00:00+00 BC'",
    "after our time": "at = '20000-01-01 00:00:00+00'",
    "the first moment": "at = '0001-01-01 00:00:00+00'",
    "a huge kind": "kind = repeat('x', 1000)",
    "no hash": "seal = ''",
    "a huge number": "seq = 9223372036854775807",
}
_MYSQL = {
    "a time of zeros": "at = 0",
    "a day of zeros": "at = '2026-00-00 00:00:00'",
    "no writer": "writer = 'x'",
    "a kind of zeros": "kind = x'0000'",
    "a key of bytes": "idempotency_key = x'ff00'",
    "a huge number": "seq = 18446744073709551615",
}


async def hidden(sink: Sink, disk: Path, change: str, *before: str) -> None:
    """One row in the midst becomes junk, and two others are changed."""
    async with sink.open() as ledger:
        first = await ledger.append(Kind.STEP, uuid4(), {"n": 1})
        kinds = (Kind.INTENT if "idempotency" in change else Kind.STEP, Kind.CHECKPOINT)
        rows = [await planted(ledger, BODIES["no checkpoint"], kind) for kind in kinds]
    async with sink.open() as later:
        last = await later.append(Kind.STEP, uuid4(), {"n": 1})
    await sink.attack(
        *before,
        *(f"update {{entry}} set body = '{{{{\"n\":2}}}}' where id = {row.id}" for row in (first, last)),
        *(f"update {{entry}} set {change} where id = {row}" for row in rows[:1]),
    )
    faults = await found(sink, disk, ())
    assert faults.get(rows[0])
    assert faults[rows[1]] >= {"signature"}
    assert faults[first.id] == {"body"}
    assert "body" in faults[last.id]


@pytest.mark.parametrize("name", _SQLITE)
async def test_sqlite_with_a_row_that_is_none(sqlite: SqliteSink, disk: Path, name: str) -> None:
    await hidden(sqlite, disk, _SQLITE[name])


@pytest.mark.parametrize("name", _POSTGRES)
async def test_postgres_with_a_row_that_is_none(postgres_sink: PostgresSink, disk: Path, name: str) -> None:
    await hidden(postgres_sink, disk, _POSTGRES[name])


async def refused(sink: Sink, disk: Path, change: str, *, outcome: bool = False) -> None:
    """Who asks for entries or for open intents is told which row it is, and not that there is no ledger."""
    async with sink.open() as ledger:
        made = await ledger.append(Kind.INTENT, action := uuid4(), {"action": "session.terminate"})
        if outcome:
            made = await ledger.append_late(Kind.OUTCOME, action, {"status": "unknown"})
        await sink.attack(f"update {{entry}} set {change} where id = {made.id}")
        for asked in (ledger.open_intents(), ledger.entries(action_id=action)):
            with pytest.raises(LedgerFault, match=f"row {made.id} of the ledger cannot be read"):
                await asked
    assert made.id in await found(sink, disk, ())


@pytest.mark.parametrize(
    "name", ["a body of bytes", "a body that is no text", "a login that is no text", "a time that is none"]
)
async def test_sqlite_names_the_row_to_who_asks(sqlite: SqliteSink, disk: Path, name: str) -> None:
    await refused(sqlite, disk, _SQLITE[name])


async def test_sqlite_names_the_outcome_to_who_asks(sqlite: SqliteSink, disk: Path) -> None:
    body = b'{"status":"unknown","\xff":1}'.hex()
    await refused(sqlite, disk, f"body = cast(x'{body}' as text)", outcome=True)


@pytest.mark.parametrize("name", [name for name, change in _POSTGRES.items() if change.startswith("at ")])
async def test_postgres_names_the_row_to_who_asks(postgres_sink: PostgresSink, disk: Path, name: str) -> None:
    await refused(postgres_sink, disk, _POSTGRES[name])


async def test_postgres_names_an_approval_to_who_asks(postgres_sink: PostgresSink) -> None:
    async with postgres_sink.open() as ledger:
        made = await ledger.append(Kind.APPROVAL, action := uuid4(), {})
        await postgres_sink.attack(f"update {{entry}} set {_POSTGRES['after our time']} where id = {made.id}")
        with pytest.raises(LedgerFault, match=f"row {made.id} of the ledger cannot be read"):
            await ledger.approvals(action)


@pytest.mark.parametrize("name", _MYSQL)
async def test_mysql_with_a_row_that_is_none(mysql_sink: MysqlSink, disk: Path, name: str) -> None:
    await hidden(mysql_sink, disk, _MYSQL[name], "set sql_mode = ''")


async def test_a_list_of_rows_has_those_that_are_junk(sqlite: SqliteSink) -> None:
    odd = '{"statements":[1,2],"who":"x","verify":[1],"error":7,"event":[],"plan":3}'
    async with sqlite.open() as ledger:
        junk = [await planted(ledger, body) for body in BODIES.values()]
        junk += [await planted(ledger, odd, kind) for kind in Kind]
        rows = await ledger.entries(newest_first=False)
    assert {int(one.key) for one in words.lines(rows)} >= set(junk)
    assert {one["id"] for one in words.document(rows)} >= set(junk)
    assert all(isinstance(words.text(row), str) for row in rows)


async def test_a_line_of_an_export_that_is_junk_is_named(sqlite: SqliteSink, disk: Path) -> None:
    async with sqlite.open() as ledger:
        for number in range(3):
            await ledger.append(Kind.STEP, uuid4(), {"n": number})
        lines = [line.encode() for line in export_lines(await ledger.entries(newest_first=False))]
    path = disk / "export"
    junk = [b"", b"{}", b"[" * 100_000, b'{"id":"x"}', b"\xff", lines[1].replace(b'"at":"', b'"at":"soon ')]
    changed = lines[2].replace(b'\\"n\\":1', b'\\"n\\":2')
    path.write_bytes(b"\n".join([lines[0], *junk, lines[1], changed, *lines[3:]]) + b"\n")
    found, read = verify_exports([path])
    assert read.junk == tuple((path, number) for number in range(2, 2 + len(junk)))
    assert [fault.kind for fault in found.faults] == ["body", *["row"] * len(junk)]
    path.write_bytes(b"\n".join(junk))
    with pytest.raises(UsageError, match="no export"):
        verify_exports([path])


async def test_a_line_of_a_journal_that_is_junk_is_damage_and_no_error(sqlite: SqliteSink) -> None:
    async with sqlite.open() as ledger:
        await ledger.append(Kind.STEP, uuid4(), {"n": 1})
    path = sqlite.journal / f"{ledger.writer}.ndjson"
    head, *rest = path.read_bytes().splitlines(keepends=True)
    for junk in (b'{"row":' + b"[" * 100_000 + b"\n", b'{"ack":{"x":' + b"[" * 100_000 + b"\n", b"\xff\n"):
        path.write_bytes(b"".join([head, junk, *rest]))
        async with sqlite.open(write=False) as reader:
            assert {fault.kind for fault in (await reader.verify()).faults} == {"journal"}
