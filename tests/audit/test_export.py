"""Exports that somebody goes on from: no row is missed, and the pieces are verified as one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from console.audit import chain
from console.audit.export import line_of, settled, verify_exports
from console.audit.record import Entry, Kind
from console.audit.table.postgres import _APPEND
from tests.audit.forge import Forge
from tests.audit.forge import row as made_row
from tests.audit.sinks import PostgresSink, SqliteSink
from tests.command import Command

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(number: int, seconds: float) -> Entry:
    made = Forge().append(uuid4(), {}, at=NOW - timedelta(seconds=seconds))
    return msgspec.structs.replace(made, id=number)


def ids(rows: list[Entry], above: int = 0) -> tuple[list[int], list[int]]:
    whole, held = settled(rows, above, NOW)
    return [one.id for one in whole], [one.id for one in held]


def test_rows_behind_a_number_that_may_yet_come_wait() -> None:
    assert ids([at(1, 9), at(2, 8), at(3, 1)]) == ([1, 2, 3], [])
    assert ids([at(1, 9), at(3, 8), at(4, 1)]) == ([1], [3, 4])
    assert ids([at(1, 99), at(3, 61), at(4, 1)]) == ([1, 3, 4], [])  # it was never given, or rolled back
    assert ids([at(8, 1)], above=6) == ([], [8])
    assert ids([at(7, 1)], above=6) == ([7], [])
    assert ids([]) == ([], [])


async def test_a_row_that_was_on_its_way_is_in_the_next_export(
    postgres_sink: PostgresSink, tmp_path: Path
) -> None:
    """Its number was given before that of another one, which is committed first."""
    command = Command(tmp_path, {}, url=postgres_sink.admin)
    async with postgres_sink.open() as ledger:
        await ledger.append(Kind.NOTE, uuid4(), {"n": 1})
        slow = await postgres_sink.server.connect(database=postgres_sink.database)
        under_way = slow.transaction()
        await under_way.start()
        made = made_row(chain.Head(0, chain.START), uuid4(), kind="step")
        values = (made.writer, made.seq, made.kind, made.action_id, made.parent, None, made.body)
        await slow.fetch(_APPEND, *values, made.prev, made.link)
        late = await ledger.append(Kind.STEP, uuid4(), {"n": 2})
        first = await command.run("audit", "export", "-", "--format", "json")
        assert f"1 row from {late.id} on are left for the next export" in first.err
        series = await command.run("audit", "export", "-", "--above", "0")
        assert series.out.count("\n") == first.out.count("\n")
        now = await command.run("audit", "export", "-")
        assert (now.out.count("\n"), now.err) == (series.out.count("\n") + 1, "")
        last = json.loads(first.out.splitlines()[-1])["id"]
        await under_way.commit()
        await slow.close()
        then = await command.run("audit", "export", "-", "--format", "json", "--above", str(last))
    found = [json.loads(line) for line in then.out.splitlines()]
    assert [one["writer"] for one in found[:1]] == [str(made.writer)]
    assert late.id in [one["id"] for one in found]


async def test_pieces_are_verified_as_one(sqlite: SqliteSink, tmp_path: Path) -> None:
    async with sqlite.open() as ledger:
        for number in range(8):
            await ledger.append(Kind.STEP, uuid4(), {"n": number})
    command = Command(tmp_path, {}, url=sqlite.url)
    parts = [tmp_path / f"part{number}" for number in range(3)]
    for path, above in zip(parts, (0, 4, 3), strict=True):
        assert (await command.run("audit", "export", str(path), "--above", str(above))).code == 0
    whole = parts[0].read_text().splitlines(keepends=True)
    parts[0].write_text("".join(whole[:5]))
    given = [word for path in parts for word in ("--file", str(path))]
    done = await command.run("audit", "verify", *given)
    assert (done.code, done.out) == (0, "10 rows of 1 writer: whole\n"), done
    alone = await command.run("audit", "verify", "--file", str(parts[1]))
    assert alone.code == 11
    assert "the first row that was read is row 5" in alone.err
    parts[0].write_text("".join(whole[:3]))
    gap = await command.run("audit", "verify", "--file", str(parts[0]), "--file", str(parts[1]))
    assert gap.code == 11
    assert ": gap" in gap.out
    assert "first row" not in gap.err
    refused = await command.run("audit", "verify", "--incremental", *given)
    assert refused.code == 2


def test_a_row_that_is_twice_in_one_export_is_a_fault(tmp_path: Path) -> None:
    forge = Forge()
    for number in range(3):
        forge.append(uuid4(), {"n": number})
    lines = [line_of(one) for one in forge.entries]
    path = tmp_path / "twice"
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    assert {fault.kind for fault in verify_exports([path])[0].faults} >= {"duplicate"}


@pytest.mark.parametrize("number", ["²", "9" * 5000, str(2**63), "-1", "1e3"])
async def test_what_is_no_number_of_a_row_is_refused_in_words(
    sqlite: SqliteSink, tmp_path: Path, number: str
) -> None:
    async with sqlite.open():
        pass
    command = Command(tmp_path, {}, url=sqlite.url)
    for words in (
        ["show", number], ["review", number, "--reason", "x", "--yes"],
        ["redact", number, "--reason", "x", "--yes"], ["export", "-", "--above", number],
        ["list", "--limit", number],
    ):  # fmt: skip
        done = await command.run("audit", *words)
        assert done.code == 2, (words, done)
        assert "defect" not in done.err


async def test_no_text_of_a_row_looks_like_a_line_of_ours(sqlite: SqliteSink, tmp_path: Path) -> None:
    """Whatever command tells of it: each line of the forger's stands behind something of dbdeck's."""
    said = "a\x1b[2J\x9bm\u202e\x07\n10 rows of 1 writer: whole\r"
    async with sqlite.open() as ledger:
        names = dict.fromkeys(("action", "target", "reason", "operator", "ticket"), said)
        await ledger.append(Kind.INTENT, action := uuid4(), {**names, "statements": [said]})
        await ledger.append(Kind.REFUSED, uuid4(), names)
        await ledger.append(Kind.RUN, uuid4(), {"type": "started", "run": said})
        (row,) = await ledger.entries(kinds=(Kind.REFUSED,))
    command = Command(tmp_path, {}, url=sqlite.url)
    for words in (
        ["list"], ["show", str(action)], ["open"], ["reconcile"], ["list", "--csv"], ["list", "--json"],
        ["export", "-"], ["export", "-", "--format", "cef"], ["export", "-", "--format", "json"],
        ["redact", str(row.id), "--reason", "x"],
    ):  # fmt: skip
        done = await command.run("audit", *words)
        for line in (done.out + done.err).splitlines():
            assert line.isprintable(), (words, line)
            assert not line.startswith("10 rows"), words
