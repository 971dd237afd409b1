"""Exports that somebody goes on from: no row is missed, and the pieces are verified as one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from console.audit import chain
from console.audit.export import Export, Gate, line_of, verify_exports
from console.audit.marks import SETTLED
from console.audit.record import Entry, Kind
from console.audit.table.postgres import _APPEND
from console.errors import Exit
from tests.audit.forge import Forge
from tests.audit.forge import row as made_row
from tests.audit.sinks import PostgresSink, Sink, SqliteSink
from tests.command import Command

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(number: int, seconds: float) -> tuple[int, datetime]:
    return number, NOW - timedelta(seconds=seconds)


def ids(rows: list[tuple[int, datetime]], above: int = 0) -> tuple[list[int], list[int]]:
    gate = Gate(above, NOW)
    fates = [(number, gate.passes(number, when)) for number, when in rows]
    return [one for one, passed in fates if passed], [one for one, passed in fates if not passed]


def test_rows_behind_a_number_that_may_yet_come_wait() -> None:
    assert ids([at(1, 9), at(2, 8), at(3, 1)]) == ([1, 2, 3], [])
    assert ids([at(1, 9), at(3, 8), at(4, 1)]) == ([1], [3, 4])
    assert ids([at(1, 99), at(3, 61), at(4, 1)]) == ([1, 3, 4], [])  # it was never given, or rolled back
    assert ids([at(8, 1)], above=6) == ([], [8])
    assert ids([at(7, 1)], above=6) == ([7], [])
    assert ids([]) == ([], [])


class Slow:
    """A ledger of which a row is on its way, and whose rows take longer to be read than one may take."""

    def __init__(self) -> None:
        forge = Forge()
        made = [forge.append(uuid4(), {}, at=NOW - timedelta(seconds=9)) for _ in range(3)]
        self.rows = [made[0], made[2]]
        self.now = NOW

    async def moment(self) -> datetime:
        return self.now

    async def stream(self, above: int | None = None) -> AsyncIterator[Entry]:
        for one in self.rows:
            if one.id > (above or 0):
                yield one
                self.now += 2 * SETTLED


async def test_a_slow_read_lets_no_row_be_passed() -> None:
    first = Export(Slow(), line_of, 0, goes_on=True)
    assert len([one async for one in first.lines()]) == 1
    assert (first.rows, first.held, first.first_held) == (1, 1, 3)
    whole = Export(Slow(), line_of, 0, goes_on=False)
    assert len([one async for one in whole.lines()]) == 2
    assert (whole.rows, whole.held) == (2, 0)


async def test_the_moment_is_by_the_clock_that_dates_the_rows(sink: Sink) -> None:
    async with sink.open() as ledger:
        before = await ledger.moment()
        done = await ledger.append(Kind.NOTE, uuid4(), {})
        after = await ledger.moment()
    assert done.at is not None
    assert before <= done.at <= after


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


def written(path: Path, rows: list[Entry]) -> Path:
    path.write_text("".join(f"{line_of(one)}\n" for one in rows))
    return path


def kinds(*paths: Path) -> list[str]:
    return [fault.kind for fault in verify_exports(paths)[0].faults]


def test_a_row_that_was_redacted_between_two_exports_is_one_row(tmp_path: Path) -> None:
    forge, writer = Forge(), uuid4()
    forge.append(writer, {"n": 1})
    gone = forge.append(writer, {"card": 1}, kind=Kind.STEP)
    before = written(tmp_path / "before", forge.entries)
    forge.append(writer, {"writer": str(writer), "seq": gone.seq}, kind=Kind.REDACTION)
    bare = msgspec.structs.replace(gone, body=None)
    after = written(tmp_path / "after", [bare, forge.entries[2]])
    assert kinds(before, after) == kinds(after, before) == kinds(after, before, after) == []
    assert verify_exports([before, after])[0].rows == 3
    uncovered = written(tmp_path / "uncovered", [bare])
    assert kinds(before, uncovered) == ["body"]
    other = msgspec.structs.replace(gone, body="{}")
    changed = written(tmp_path / "changed", [forge.entries[0], other])
    assert "body" in kinds(changed, after)
    assert "duplicate" in kinds(before, changed, after)


async def test_exports_without_a_row_are_no_whole_ledger(sqlite: SqliteSink, tmp_path: Path) -> None:
    async with sqlite.open() as ledger:
        last = await ledger.append(Kind.NOTE, uuid4(), {})
    command = Command(tmp_path, {}, url=sqlite.url)
    assert last.id is not None
    whole, nothing = tmp_path / "whole", tmp_path / "nothing"
    assert (await command.run("audit", "export", str(whole))).code == 0
    await command.run("audit", "export", str(nothing), "--above", str(last.id + 1))
    assert nothing.read_bytes() == b""
    done = await command.run("audit", "verify", "--file", str(nothing), "--file", str(nothing))
    assert (done.code, done.out, "nothing was verified" in done.err) == (2, "", True), done
    assert (await command.run("audit", "verify", "--file", str(whole), "--file", str(nothing))).code == 0


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


async def test_an_export_that_breaks_off_leaves_the_file_as_it_was(
    sqlite: SqliteSink, tmp_path: Path
) -> None:
    """Its rows are written as they are read, into a file beside it."""
    async with sqlite.open() as ledger:
        await ledger.append(Kind.NOTE, uuid4(), {"n": 1})
        await ledger.append(Kind.NOTE, uuid4(), {"n": 2})
    await sqlite.attack("update entry set at = 'no time' where body like '%2%'")
    command = Command(tmp_path, {}, url=sqlite.url)
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "ledger.ndjson").write_text("as it was\n")
    for name in (str(folder / "ledger.ndjson"), "-"):
        done = await command.run("audit", "export", name)
        assert (done.code, done.out) == (Exit.LEDGER_FAULT, ""), done
    assert [(one.name, one.read_text()) for one in folder.iterdir()] == [("ledger.ndjson", "as it was\n")]


async def test_an_export_without_room_is_told(sqlite: SqliteSink, tmp_path: Path) -> None:
    async with sqlite.open() as ledger:
        await ledger.append(Kind.NOTE, uuid4(), {"n": 1})
    done = await Command(tmp_path, {}, url=sqlite.url).run("audit", "export", "/dev/full")
    assert (done.code, "No space left" in done.err) == (Exit.USAGE, True), done
