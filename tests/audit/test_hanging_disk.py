"""A disk that does not answer: nothing is claimed, nothing is lost, and nobody waits for it for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from console.audit import ledger as opening
from console.audit import writer as writing
from console.audit.glass import open_glass
from console.audit.journal import alive
from console.audit.readback import parse
from console.audit.record import Kind
from console.errors import AuditUnavailable
from tests.audit.outage import outage
from tests.audit.sinks import Sink, SqliteSink
from tests.audit.test_glass import DEADLINE, TERMS
from tests.audit.test_glass import known as has_written
from tests.audit.test_writer import Answer, Bench, bench_in
from tests.command import Command

ENDS = 20.0  # seconds, in which whatever is bounded is over


class Disk:
    """Syncs what it is told to, until it hangs; `answer` lets go of all that waits."""

    def __init__(self) -> None:
        self._answers = threading.Event()
        self._answers.set()
        self._fsync = os.fsync

    def hang(self) -> None:
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()

    def fsync(self, descriptor: int) -> None:
        assert self._answers.wait(120)
        self._fsync(descriptor)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """One that is waited for only shortly."""
    made = Disk()
    monkeypatch.setattr(os, "fsync", made.fsync)
    monkeypatch.setattr(writing, "JOURNAL_SECONDS", 0.3)
    monkeypatch.setattr(opening, "FINISH_SECONDS", 0.5)
    monkeypatch.setattr(opening, "ORPHAN_SECONDS", 0.5)
    yield made
    made.answer()


async def whole(sink: Sink) -> list[str]:
    """The kinds of its rows; nothing is wrong with it by what all journals know."""
    async with sink.open(write=False) as ledger:
        found = await ledger.verify()
        assert found.faults == ()
        return [one.kind for one in await ledger.entries(newest_first=False)]


async def test_closing_a_ledger_ends_though_the_disk_hangs(sink: Sink, slow: Disk) -> None:
    async with asyncio.timeout(ENDS):
        async with sink.open() as ledger:
            await ledger.append(Kind.STEP, uuid4(), {"n": 1})
            slow.hang()
    slow.answer()
    assert (await whole(sink))[:2] == ["open", "step"]


async def test_closing_ends_while_somebody_waits_for_the_disk(
    sink: Sink, slow: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the console is left, or a command is interrupted: the intent is open, or resolved."""
    monkeypatch.setattr(writing, "JOURNAL_SECONDS", 60.0)
    async with asyncio.timeout(ENDS):
        async with sink.open() as ledger:
            slow.hang()
            waiting = asyncio.create_task(ledger.append(Kind.INTENT, action := uuid4(), {}))
            await asyncio.sleep(0.2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    slow.answer()
    kinds = await whole(sink)
    async with sink.open() as after:
        left = [one.action_id for one in await after.open_intents()]
        assert left == ([action] if "intent" in kinds and "resolved" not in kinds else [])


async def test_an_intent_that_the_disk_does_not_answer_for_is_given_up(sink: Sink, slow: Disk) -> None:
    async with sink.open() as ledger:
        slow.hang()
        async with asyncio.timeout(ENDS):
            with pytest.raises(AuditUnavailable, match=r"no answer in 0\.3 s"):
                await ledger.append(Kind.INTENT, uuid4(), {})
        slow.answer()
        await ledger.append(Kind.INTENT, action := uuid4(), {})
        assert [one.action_id for one in await ledger.open_intents()] == [action]
    kinds = await whole(sink)
    assert kinds.count("intent") == kinds.count("resolved") + 1


async def test_an_outcome_is_recorded_though_the_disk_hangs(sink: Sink, slow: Disk) -> None:
    async with sink.open() as ledger:
        await ledger.append(Kind.INTENT, action := uuid4(), {})
        slow.hang()
        async with asyncio.timeout(ENDS):
            assert (await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})).recorded
            with pytest.raises(AuditUnavailable, match="no answer"):  # nothing new begins
                await ledger.append(Kind.INTENT, uuid4(), {})
        slow.answer()
        assert await ledger.open_intents() == []
    kinds = await whole(sink)
    assert (kinds.count("intent"), kinds.count("outcome")) == (1, 1)


@pytest.fixture
def bench(journal: Path) -> Iterator[Bench]:
    with bench_in(journal) as made:
        yield made


async def test_a_late_row_that_the_table_refused_is_void_in_the_journal(bench: Bench, slow: Disk) -> None:
    slow.hang()
    bench.table.script = [Answer.REFUSES]
    with pytest.raises(AuditUnavailable):
        await bench.append(Kind.NOTE, uuid4())
    slow.answer()
    await bench.writer.settled()
    contents = parse(bench.journal.path.read_bytes())
    assert (contents.rows, contents.undecided, contents.damaged) == ((), (), False)
    await bench.append(Kind.NOTE, uuid4())
    assert (await bench.verify()).ok


async def test_an_intent_behind_a_row_that_hangs_is_not_sent_and_void_in_the_journal(
    bench: Bench, slow: Disk
) -> None:
    slow.hang()
    with pytest.raises(AuditUnavailable, match="no answer"):
        await bench.append(Kind.NOTE, uuid4())
    with pytest.raises(AuditUnavailable, match="no answer"):
        await bench.append(Kind.INTENT, action := uuid4())
    assert bench.kinds() == ["note"]
    slow.answer()
    await bench.writer.settled()
    contents = parse(bench.journal.path.read_bytes())
    assert ([one.kind for one in contents.rows], contents.damaged) == (["note"], False)
    await bench.append(Kind.INTENT, action)
    assert bench.kinds() == ["note", "intent"]
    assert (await bench.verify()).ok


async def test_an_outcome_that_neither_answers_for_is_an_error_and_sent_later(
    bench: Bench, slow: Disk
) -> None:
    slow.hang()
    bench.table.script = [Answer.REFUSES]
    with pytest.raises(AuditUnavailable, match="no answer"):
        await bench.append(Kind.OUTCOME, uuid4(), "applied")
    slow.answer()
    assert bench.writer.pending == 1
    await bench.writer.flush()
    assert bench.kinds() == ["outcome"]
    assert (await bench.verify()).ok


async def test_a_break_glass_ends_with_the_row_that_the_disk_does_not_answer_for(
    sqlite: SqliteSink, slow: Disk
) -> None:
    await has_written(sqlite)
    glass = open_glass(sqlite.url, sqlite.journal, TERMS, deadline=DEADLINE)
    async with asyncio.timeout(ENDS), outage(sqlite, "locked"), glass as ledger:
        await ledger.append(Kind.INTENT, uuid4(), {})
        slow.hang()
        for _ in range(2):
            with pytest.raises(AuditUnavailable, match="no answer"):
                await ledger.append(Kind.STEP, uuid4(), {})
        slow.answer()
        with pytest.raises(AuditUnavailable, match="no answer"):
            await ledger.append(Kind.STEP, uuid4(), {})
    async with asyncio.timeout(ENDS), sqlite.open() as after:
        assert (await after.merge(ledger.path, died=True)).rows == 4
        assert (await after.verify()).ok


async def freed(folder: Path) -> None:
    """Each of the journals: no lock, and no descriptor of this process."""
    journals = {str(path) for path in folder.glob("*.ndjson")}
    assert len(journals) == 2
    async with asyncio.timeout(ENDS):
        while any(alive(folder, UUID(Path(path).name.removesuffix(".ndjson"))) for path in journals):
            await asyncio.sleep(0.02)
    held = {str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}
    assert not journals & held


async def test_a_journal_that_is_made_too_late_is_closed(sqlite: SqliteSink, slow: Disk) -> None:
    await has_written(sqlite)
    slow.hang()
    with pytest.raises(AuditUnavailable, match=r"no answer in 0\.3 s"):
        async with sqlite.open():
            pass
    slow.answer()
    await freed(sqlite.journal)


async def test_a_journal_that_nobody_waits_for_is_closed(
    sqlite: SqliteSink, slow: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await has_written(sqlite)
    monkeypatch.setattr(writing, "JOURNAL_SECONDS", 60.0)
    slow.hang()
    opening_it = asyncio.create_task(sqlite.open().__aenter__())
    async with asyncio.timeout(ENDS):
        while len(list(sqlite.journal.glob("*.ndjson"))) < 2:
            await asyncio.sleep(0.02)
    opening_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening_it
    slow.answer()
    await freed(sqlite.journal)


# ---- the command ------------------------------------------------------------------------------------

HANG = """
import os, time
fsync, write, seen = os.fsync, os.write, []
def see(descriptor, data):
    seen[:] = [data]
    return write(descriptor, data)
def hang(descriptor):
    if seen and os.environ["AT"].encode() in seen[0]:
        open(os.environ["HANGS"], "w").close()
        time.sleep(600)
    fsync(descriptor)
os.write, os.fsync = see, hang
"""


async def started(folder: Path, at: str) -> asyncio.subprocess.Process:
    """A command that opens the ledger to write, and whose disk hangs at that line of its journal."""
    (folder / "sitecustomize.py").write_text(HANG)
    path = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    env = {"PYTHONPATH": path, "AT": at, "HANGS": str(folder / "hangs")}
    return await Command(folder, {}).start("audit", "reconcile", env=env)


async def test_a_command_ends_though_its_last_row_hangs(disk: Path) -> None:
    process = await started(disk, '"kind":"close"')
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert (process.returncode, (disk / "hangs").exists()) == (0, True), err


@pytest.mark.parametrize("at", ['{"journal":', '"kind":"open"'])
async def test_a_command_that_hangs_can_be_interrupted(disk: Path, at: str) -> None:
    process = await started(disk, at)
    async with asyncio.timeout(60):
        while not (disk / "hangs").exists():
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130, err
