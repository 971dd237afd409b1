"""What somebody with all rights on the ledger's server can do, and how it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from console.audit.ledger import Ledger
from console.audit.record import Kind
from tests.audit.sinks import MysqlSink, Sink, SqliteSink

ONE = "where kind = 'step' and seq = 3 and writer = '{a}'"
# Under another writer, whom its link does not fit.
FORGED = (
    "insert into {entry} (id, at, writer, seq, kind, action_id, body, body_hash, prev, link, witness, "
    "db_user, peer, seal) {forced} select {id}, at, '{other}', 1, 'resolved', action_id, body, body_hash, "
    "prev, link, witness, db_user, peer, seal from {entry} "
)
BEFORE: dict[str, tuple[str, str]] = {
    "body": ("update {entry} set body = replace(body, 'n', 'm') " + ONE, "body"),
    "user": ("update {entry} set db_user = 'somebody' " + ONE, "seal"),
    "peer": ("update {entry} set peer = 'elsewhere' " + ONE, "seal"),
    "time": ("update {entry} set at = (select at from (select min(at) as at from {entry}) x) " + ONE, "seal"),
    "kind": ("update {entry} set kind = 'note' " + ONE, "link"),
    "action": ("update {entry} set action_id = '{other}' " + ONE, "link"),
    "parent": ("update {entry} set parent = '{other}' " + ONE, "link"),
    "null body": ("update {entry} set body = null " + ONE, "body"),
    "middle row deleted": ("delete from {entry} " + ONE, "gap"),
    "writer deleted": ("delete from {entry} where writer = '{a}'", "witness"),
    "tail cut": ("delete from {entry} where writer = '{a}' and seq > 4", "witness"),
    "a row below all others": (FORGED.replace("{id}", "{lowest}") + ONE, "id"),
    "a row with the id 0": (FORGED.replace("{id}", "0") + ONE, "id"),
}
TAIL = {
    "newest row deleted": "delete from {entry} where writer = '{b}' and kind = 'close'",
    "everything deleted": "delete from {entry}",
}


async def fill(sink: Sink) -> tuple[Ledger, Ledger]:
    """Two writers in turns; b goes on after a has ended."""
    async with sink.open() as b:
        async with sink.open() as a:
            for number in range(10):
                for ledger in (a, b):
                    await ledger.append(Kind.STEP, uuid4(), {"n": number + 1})
        for number in range(10):
            await b.append(Kind.STEP, uuid4(), {"n": number})
    return a, b


async def faults(sink: Sink, journal: Path) -> set[str]:
    async with sink.open(write=False, journal=journal) as ledger:
        return {fault.kind for fault in (await ledger.verify()).faults}


def named(sink: Sink, statement: str, a: Ledger, b: Ledger) -> str:
    names = {"a": a.writer, "b": b.writer, "other": uuid4(), "entry": "{entry}"}
    return statement.format(**names, lowest=sink.lowest, forced=sink.forced)


async def attack(sink: Sink, statement: str) -> None:
    a, b = await fill(sink)
    await sink.attack(named(sink, statement, a, b))


@pytest.mark.parametrize("name", BEFORE)
async def test_it_shows_by_itself(sink: Sink, disk: Path, name: str) -> None:
    statement, kind = BEFORE[name]
    await attack(sink, statement)
    assert kind in await faults(sink, disk / "no journals")


@pytest.mark.parametrize("number", [-5, 0])
async def test_a_forged_end_below_the_first_row_is_named(sink: Sink, disk: Path, number: int) -> None:
    """No trigger stands in its way, and the intent is not open any more for who asks for those."""
    if number < sink.lowest:
        pytest.skip("ids are unsigned here")
    async with sink.open() as ledger:
        await ledger.append(Kind.INTENT, action := uuid4(), {"action": "session.terminate"})
        forged = FORGED.format(entry="{entry}", forced=sink.forced, id=number, other=uuid4())
        zero = ["set sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"] if isinstance(sink, MysqlSink) else []
        await sink.execute(*zero, f"{forged} where action_id = '{action}'")
    async with sink.open(write=False, journal=disk / "no journals") as reader:
        assert await reader.open_intents() == []
        found = await reader.verify()
        assert {one.kind for one in found.faults if one.id == number} == {"id", "link", "witness"}
        assert (await reader.row(number)).id == number
        assert (number, "resolved") in [(row.id, row.kind) async for row in reader.stream()]


@pytest.mark.parametrize("name", TAIL)
async def test_it_shows_by_the_journals(sink: Sink, disk: Path, name: str) -> None:
    await attack(sink, TAIL[name])
    assert await faults(sink, disk / "no journals") == set()
    assert await faults(sink, sink.journal) == {"receipt"}


async def test_the_untouched_ledger_is_whole(sink: Sink) -> None:
    await fill(sink)
    assert await faults(sink, sink.journal) == set()


@pytest.mark.parametrize(
    "statement", ["update {entry} set db_user = 'x'", "delete from {entry}", "update {entry} set body = null"]
)
async def test_the_triggers_stop_even_the_owner(sink: Sink, statement: str) -> None:
    await fill(sink)
    assert "append-only" in await sink.refused(statement)
    assert await faults(sink, sink.journal) == set()


async def test_a_damaged_journal_is_told(sqlite: Sink) -> None:
    a, _ = await fill(sqlite)
    path = sqlite.journal / f"{a.writer}.ndjson"
    path.write_text(path.read_text().replace('"kind":"step"', '"kind":"note"', 1))
    assert await faults(sqlite, sqlite.journal) == {"journal"}


def moved(path: Path, to: Callable[[str], str]) -> None:
    """Its first line names a ledger of another id, and what `to` makes of the address."""
    header, rest = path.read_text().split("\n", 1)
    said = msgspec.json.decode(header)
    said["journal"] |= {"ledger": str(uuid4()), "sink": to(said["journal"]["sink"])}
    path.write_bytes(msgspec.json.encode(said) + b"\n" + rest.encode())


async def test_a_journal_that_was_given_to_another_ledger_is_told(sink: Sink, disk: Path) -> None:
    """Its receipts were missed by nobody, and the rows that they prove could be taken away."""
    a, _ = await fill(sink)
    moved(sink.journal / f"{a.writer}.ndjson", lambda _: "sqlite:///elsewhere.db")
    assert await faults(sink, sink.journal) == {"journal"}


async def test_a_ledger_that_got_a_new_id_is_where_it_was(sink: Sink, disk: Path) -> None:
    """By `audit init`, which mends a missing table; who verifies may be another login than who wrote."""
    a, _ = await fill(sink)
    if "@" not in sink.url:
        pytest.skip("a file has no logins")
    moved(sink.journal / f"{a.writer}.ndjson", lambda there: re.sub(r"://[^@]*@", "://somebody@", there))
    assert await faults(sink, sink.journal) == set()


async def test_ledgers_that_share_a_folder_of_journals_are_whole(sqlite: SqliteSink, disk: Path) -> None:
    other = SqliteSink(disk / "other.db", sqlite.journal)
    await fill(sqlite)
    await fill(other)
    moved = SqliteSink(disk / "moved.db", sqlite.journal)
    sqlite.path.rename(moved.path)
    assert await faults(moved, sqlite.journal) == set()
    assert await faults(other, sqlite.journal) == set()
