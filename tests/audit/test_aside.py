"""Journals that a process of its own reads: the same evidence and the same faults as without it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from console.audit import aside
from console.audit.checkpoint import new_key
from console.audit.ledger import Ledger, open_ledger
from console.audit.readback import read_evidence
from console.audit.record import Kind
from console.errors import AuditUnavailable
from tests.audit.sinks import Sink, SqliteSink


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the journals, and however many cores."""
    monkeypatch.setattr(aside, "ENOUGH", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


async def filled(ledger: Ledger, actions: int = 20) -> None:
    for _ in range(actions):
        await ledger.append(Kind.INTENT, action := uuid4(), {"text": "é😀"})
        await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})


async def of(ledger: Ledger) -> aside.Asked:
    found = aside.asked(ledger.folder, ledger.id, ledger.sink, {})
    assert found is not None
    return found


def by_itself(ledger: Ledger) -> list[object]:
    return [*read_evidence(ledger.folder, ledger.id, ledger.sink)]


async def test_a_process_finds_what_this_one_finds(
    sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sqlite.open() as ledger, sqlite.open() as other:
        await asyncio.gather(filled(ledger), filled(other))
    with monkeypatch.context() as patch:
        patch.delattr(aside.Asked, "read")  # which this one would read by
        async with aside.beside(await of(ledger)) as reading:
            found = await reading()
    assert found == by_itself(ledger)
    assert sum(len(one.receipts) for one in found) == 84  # with `open` and `close` of both


async def test_a_ledger_is_whole_and_its_faults_are_told(sink: Sink) -> None:
    async with sink.open() as ledger:
        await filled(ledger)
        seen = await ledger.verify()
        assert (seen.ok, seen.rows, seen.writers) == (True, 41, 1)
    async with sink.open(write=False) as reader:
        newest = (await reader.entries(limit=1))[0]
        await sink.attack(f"delete from {{entry}} where id = {newest.id}")
        assert [(one.kind, one.seq) for one in (await reader.verify()).faults] == [("receipt", newest.seq)]


async def test_a_damaged_journal_is_told(sqlite: SqliteSink) -> None:
    async with sqlite.open() as ledger:
        await filled(ledger)
    (path,) = sqlite.journal.glob("*.ndjson")
    path.write_bytes(path.read_bytes().replace(b"applied", b"failed!", 1))
    async with sqlite.open(write=False) as reader:
        assert [one.kind for one in (await reader.verify()).faults] == ["journal"]


COMMANDS = {
    "one that is not there": ("/nowhere/python",),
    "one that fails": ("false",),
    "one that says nothing": ("true",),
    "one that says something else": ("echo", "evidence"),
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_without_its_answer_this_process_reads(
    sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(aside, "_COMMAND", COMMANDS[name])
    async with sqlite.open() as ledger:
        await filled(ledger)
        assert (await ledger.verify()).ok
        async with aside.beside(await of(ledger)) as reading:
            assert await reading() == by_itself(ledger)


async def test_another_version_does_not_answer(sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sqlite.open() as ledger:
        await filled(ledger)
    theirs = msgspec.structs.replace(await of(ledger), version="0.0.1")
    with monkeypatch.context() as patch:
        patch.setattr(aside.Asked, "read", lambda _: [])  # what this process finds
        async with aside.beside(theirs) as reading:
            assert await reading() == []


async def test_what_is_written_after_its_size_was_noted_is_no_evidence(sqlite: SqliteSink) -> None:
    """The table may have been read before such a row was in it."""
    async with sqlite.open() as ledger:
        await filled(ledger)
        await ledger._writing().settled()
        noted, before = await of(ledger), by_itself(ledger)
        async with sqlite.open() as other:  # a journal that was not there
            await filled(ledger)
            await filled(other)
        async with aside.beside(noted) as reading:
            assert await reading() == before
        assert by_itself(ledger) != before


async def test_it_cries_no_wolf_while_others_write(sink: Sink) -> None:
    async with sink.open() as ledger, sink.open() as other, sink.open(write=False) as reader:
        enough = asyncio.Event()

        async def writes(one: Ledger) -> None:
            while not enough.is_set():
                await filled(one, 5)

        writing = asyncio.gather(writes(ledger), writes(other))
        try:
            seen = [await reader.verify() for _ in range(4)]
        finally:
            enough.set()
        await writing
    assert [one.faults for one in seen if one.faults] == []
    assert len({one.rows for one in seen}) == 4, "rows came meanwhile"


async def test_since_a_checkpoint_only_what_came_after_is_compared(sink: Sink) -> None:
    key, _ = new_key()
    async with sink.open() as ledger:
        await filled(ledger)
        signed = await ledger.checkpoint(key)
        await filled(ledger)
        base = await ledger.base((signed.key,))
        assert base is not None
        found = await ledger.verify(trusted=(signed.key,), since=base)
        assert (found.ok, found.checkpoints) == (True, 1)


async def test_a_relative_folder_is_of_who_asks(sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sqlite.open() as ledger:
        await filled(ledger)
    monkeypatch.chdir(sqlite.journal.parent)
    relative = Path(sqlite.journal.name)
    async with open_ledger(sqlite.url, relative, write=False) as reader:
        newest = (await reader.entries(limit=1))[0]
        await sqlite.attack(f"delete from {{entry}} where id = {newest.id}")
        assert [one.kind for one in (await reader.verify()).faults] == ["receipt"]


async def test_journals_that_go_away_meanwhile_are_missed(sqlite: SqliteSink, tmp_path: Path) -> None:
    async with sqlite.open() as ledger:
        await filled(ledger)
    async with sqlite.open(write=False) as reader:
        noted = await of(reader)
        (path,) = sqlite.journal.glob("*.ndjson")
        path.rename(tmp_path / "elsewhere")
        async with aside.beside(noted) as reading:
            with pytest.raises(AuditUnavailable, match="is gone"):
                await reading()


async def test_a_name_that_is_no_text_keeps_nobody_from_reading(sqlite: SqliteSink) -> None:
    async with sqlite.open() as ledger:
        await filled(ledger)
    stray = Path(os.fsdecode(os.fsencode(sqlite.journal) + b"/\xff.ndjson"))
    stray.write_bytes(b"")
    async with sqlite.open(write=False) as reader:
        assert (await reader.verify()).ok


async def test_its_process_has_nothing_of_our_environment(
    sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEDGER_PASSWORD", "hunter2")
    seen = tmp_path / "seen"
    monkeypatch.setattr(aside, "_COMMAND", ("sh", "-c", 'env > "$0"', str(seen)))
    async with sqlite.open() as ledger:
        await filled(ledger)
        assert (await ledger.verify()).ok
    assert "PATH=" in seen.read_text()
    assert "hunter2" not in seen.read_text()


async def test_its_process_ends_with_who_asked(
    sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    script = 'echo $$ > "$0"; exec sleep 600'
    monkeypatch.setattr(aside, "_COMMAND", ("sh", "-c", script, str(alive)))
    async with sqlite.open() as ledger:
        await filled(ledger, 1)
        asking = asyncio.create_task(ledger.verify())
        async with asyncio.timeout(20):
            while not (alive.exists() and alive.read_text().strip()):
                await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert not Path(f"/proc/{alive.read_text().strip()}").exists()
