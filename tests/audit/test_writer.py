"""A table that loses answers and refuses rows at will: whatever happens, the ledger stays whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.audit import chain
from console.audit.journal import Header, Journal
from console.audit.readback import parse
from console.audit.record import AlreadyRecorded, Entry, Kind, Receipt, Row
from console.audit.table.port import Candidate, Duplicate, NotTaken, Query, Undecided, Unreadable
from console.audit.verify import Verification, verify
from console.audit.writer import Writer, draft
from console.errors import AuditUnavailable
from tests.audit.forge import entry
from tests.audit.test_journal import largest_file


class Answer(Enum):
    TAKES = "takes it"
    REFUSES = "refuses it"
    LOSES_THE_ROW = "the row never arrives, and nobody knows"
    IS_SLOW = "takes it when the next one comes, and nobody knows"
    LOSES_THE_ANSWER = "takes it, and nobody knows"


class FakeTable:
    """Behaves by its script; without one it takes every row, as a server does."""

    def __init__(self) -> None:
        self.ledger = uuid4()
        self.notes: tuple[str, ...] = ()
        self.rows: list[Entry] = []
        self.script: list[Answer] = []
        self._slow: list[Row] = []

    async def append(self, row: Row) -> Entry:
        while self._slow:
            self._take(self._slow.pop(0))
        answer = self.script.pop(0) if self.script else Answer.TAKES
        if answer is Answer.REFUSES:
            raise NotTaken("read-only")
        if answer is Answer.LOSES_THE_ROW:
            raise Undecided("lost")
        if answer is Answer.IS_SLOW:
            self._slow.append(row)
            raise Undecided("slow")
        taken = self._take(row)
        if answer is Answer.LOSES_THE_ANSWER:
            raise Undecided("lost")
        return taken

    def _take(self, row: Row) -> Entry:
        mine = [one for one in self.rows if one.writer == row.writer]
        for one in mine:
            if one.seq == row.seq:
                assert one.link == row.link, "two rows want one place"
                return one
        assert row.prev == (mine[-1].link if mine else chain.START), "the chain has a hole"
        there = {(one.kind, one.action_id) for one in self.rows}
        if row.kind in (Kind.INTENT, Kind.OUTCOME) and (row.kind, row.action_id) in there:
            raise Duplicate(f"an {row.kind}", row.action_id)
        newest = self.rows[-1].seal if self.rows else chain.START
        self.rows.append(entry(row, len(self.rows) + 1, newest))
        return self.rows[-1]

    async def find_idempotency(self, key: str) -> UUID | None:
        raise NotImplementedError

    async def entries(self, query: Query) -> list[Entry]:
        raise NotImplementedError

    def chunks(self, above: int | None = None) -> AsyncGenerator[list[Entry | Unreadable], None]:
        raise NotImplementedError

    async def count(self, up_to: int) -> int:
        raise NotImplementedError

    async def candidates(self) -> list[Candidate]:
        raise NotImplementedError

    async def approvals(self, action: UUID) -> list[Entry]:
        raise NotImplementedError

    async def redact(self, writer: UUID, seq: int) -> bool:
        raise NotImplementedError

    async def moment(self) -> datetime:
        raise NotImplementedError

    async def answers(self) -> bool:
        raise NotImplementedError

    async def hold_writer_lock(self, writer: UUID) -> None:
        raise NotImplementedError

    def hurry(self, seconds: float) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = FakeTable()
        self.writer_id = uuid4()
        header = Header(writer=self.writer_id, ledger=self.table.ledger, sink="fake:")
        self.journal = Journal.create(folder, header)
        self.writer = Writer(self.writer_id, "fake:", self.table, self.journal)

    async def append(self, kind: Kind, action: UUID, status: str = "") -> Receipt:
        new = draft(kind, action, {"status": status}, None, None)
        if kind in (Kind.OUTCOME, Kind.RESOLVED):
            return await self.writer.append_late(new)
        return await self.writer.append(new)

    def full_disk(self) -> contextlib.AbstractContextManager[None]:
        """Room for the beginning of a line."""
        return largest_file(self.journal.path.stat().st_size + 10)

    async def verify(self) -> Verification:
        await self.writer.settled()
        (read,) = (parse(path.read_bytes()) for path in self.folder.glob("*.ndjson"))
        assert not read.damaged
        return verify(self.table.rows, receipts=read.receipts)

    def kinds(self) -> list[str]:
        return [row.kind for row in self.table.rows]


@contextlib.contextmanager
def bench_in(folder: Path) -> Iterator[Bench]:
    bench = Bench(folder)
    try:
        yield bench
    finally:
        bench.journal.close()


@pytest.fixture
def bench(journal: Path) -> Iterator[Bench]:
    with bench_in(journal) as made:
        yield made


async def test_a_refused_intent_leaves_nothing_behind(bench: Bench) -> None:
    bench.table.script = [Answer.REFUSES]
    with pytest.raises(AuditUnavailable, match=r"fake:.*read-only"):
        await bench.append(Kind.INTENT, uuid4())
    assert bench.writer.pending == 0
    await bench.append(Kind.INTENT, uuid4())
    assert bench.kinds() == ["intent"]
    assert (await bench.verify()).ok


async def test_a_lost_answer_is_settled_at_once(bench: Bench) -> None:
    bench.table.script = [Answer.LOSES_THE_ANSWER]
    assert (await bench.append(Kind.INTENT, uuid4())).recorded
    assert bench.kinds() == ["intent"]
    assert (await bench.verify()).ok


async def test_a_lost_intent_is_resolved_before_anything_new(bench: Bench) -> None:
    bench.table.script = [Answer.LOSES_THE_ROW, Answer.REFUSES]
    with pytest.raises(AuditUnavailable, match="no sure answer"):
        await bench.append(Kind.INTENT, uuid4())
    assert bench.writer.pending == 2
    await bench.append(Kind.INTENT, uuid4())
    assert bench.kinds() == ["intent", "resolved", "intent"]
    assert json.loads(bench.table.rows[1].body or "")["status"] == "not_applied"
    found = await bench.verify()
    assert found.ok
    assert len(found.open_intents) == 1


async def test_each_answer_stands_before_the_next_row(bench: Bench) -> None:
    """A dead writer's rows are delivered by the last lines: an answer there must not belong further up."""
    for _ in range(200):
        action = uuid4()
        await bench.append(Kind.INTENT, action)
        await bench.append(Kind.OUTCOME, action, "applied")
    await bench.writer.settled()
    whats = [next(iter(json.loads(line))) for line in bench.journal.path.read_bytes().splitlines()]
    assert whats == ["journal", *["row", "ack"] * 400]


async def test_a_late_outcome_waits_and_bars_new_intents(bench: Bench) -> None:
    action = uuid4()
    await bench.append(Kind.INTENT, action)
    bench.table.script = [Answer.REFUSES] * 3
    receipt = await bench.append(Kind.OUTCOME, action, "applied")
    assert not receipt.recorded
    with pytest.raises(AuditUnavailable, match="wait in the journal: 1"):
        await bench.append(Kind.INTENT, uuid4())
    with pytest.raises(AuditUnavailable):
        await bench.writer.flush()
    assert await bench.writer.flush() == 1
    assert bench.kinds() == ["intent", "outcome"]
    assert bench.table.rows[1].link == receipt.link
    assert (await bench.verify()).ok


async def test_a_second_outcome_is_not_kept_waiting(bench: Bench) -> None:
    action = uuid4()
    await bench.append(Kind.OUTCOME, action, "applied")
    with pytest.raises(AlreadyRecorded):
        await bench.append(Kind.OUTCOME, action, "failed")
    assert bench.writer.pending == 0


async def test_an_outcome_is_recorded_even_without_the_journal(bench: Bench) -> None:
    action = uuid4()
    await bench.append(Kind.INTENT, action)
    bench.journal.path.unlink()
    assert (await bench.append(Kind.OUTCOME, action, "applied")).recorded
    with pytest.raises(AuditUnavailable, match=str(bench.writer_id)):
        await bench.append(Kind.INTENT, uuid4())
    assert bench.kinds() == ["intent", "outcome"]


async def test_an_outcome_that_nobody_keeps_is_an_error(bench: Bench) -> None:
    await bench.append(Kind.INTENT, uuid4())
    bench.journal.path.unlink()
    bench.table.script = [Answer.REFUSES]
    with pytest.raises(AuditUnavailable, match="journal"):
        await bench.append(Kind.OUTCOME, uuid4(), "applied")


async def test_an_idempotency_key_belongs_to_an_intent(bench: Bench) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        draft(Kind.NOTE, uuid4(), {}, None, "k")


async def test_an_intent_that_only_the_table_has_is_given_up(bench: Bench) -> None:
    """Both are written at once, so that the table may have taken what the disk here had no room for."""
    with bench.full_disk(), pytest.raises(AuditUnavailable, match="File too large"):
        await bench.append(Kind.INTENT, uuid4())
    assert bench.kinds() == ["intent", "resolved"]
    assert json.loads(bench.table.rows[1].body or "")["status"] == "not_applied"
    assert not (await bench.verify()).open_intents
    await bench.append(Kind.INTENT, uuid4())
    found = await bench.verify()
    assert found.ok
    assert len(found.open_intents) == 1


async def test_an_intent_that_neither_has_leaves_nothing_behind(bench: Bench) -> None:
    bench.table.script = [Answer.REFUSES]
    with bench.full_disk(), pytest.raises(AuditUnavailable, match="read-only"):
        await bench.append(Kind.INTENT, uuid4())
    await bench.append(Kind.INTENT, uuid4())
    assert bench.kinds() == ["intent"]
    assert (await bench.verify()).ok


async def test_nothing_is_sent_where_the_journal_is_gone(bench: Bench) -> None:
    bench.journal.path.unlink()
    with pytest.raises(AuditUnavailable, match="No such file"):
        await bench.append(Kind.INTENT, uuid4())
    assert bench.kinds() == []


STEPS = st.tuples(st.booleans(), st.booleans(), st.lists(st.sampled_from(Answer), max_size=4))


@given(st.lists(STEPS, max_size=12))
@settings(max_examples=100, deadline=None)
def test_whatever_is_lost_the_ledger_stays_whole(steps: list[tuple[bool, bool, list[Answer]]]) -> None:
    """After a flush: every promised row is there, every broken promise is resolved, no false alarm."""
    asyncio.run(_live(steps))


async def _live(steps: list[tuple[bool, bool, list[Answer]]]) -> None:
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder, bench_in(Path(folder)) as bench:
        running: list[UUID] = []
        for start, full, script in steps:
            bench.table.script = list(script)
            with bench.full_disk() if full else contextlib.nullcontext():
                if start:
                    action = uuid4()
                    with contextlib.suppress(AuditUnavailable):
                        await bench.append(Kind.INTENT, action)
                        running.append(action)
                elif running:
                    with contextlib.suppress(AuditUnavailable) if full else contextlib.nullcontext():
                        await bench.append(Kind.OUTCOME, running.pop(), "applied")
            assert (await bench.verify()).ok
        bench.table.script = []
        await bench.writer.flush()
        found = await bench.verify()
        assert found.ok
        assert set(found.open_intents) == set(running)
