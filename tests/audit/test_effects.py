"""What the ledger knows of effects, on every kind of it: looks as they were recorded, and deeds between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from console.audit.effects import deeds_since, found_note, kept_look, look_note, newest_row, told
from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.model.effects import Comparison, Finding, How, Look, Standing
from tests.audit.sinks import Sink

AT = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
SERVER = "7123"


def look(**over: Any) -> Look:
    values: dict[str, Any] = {
        "taken_at": AT, "server": SERVER, "flavor": "postgresql", "started_at": AT - timedelta(days=1),
        "marks": {"role": {'"Ä\'b"': "=login"}},
    }  # fmt: skip
    return Look(**values | over)


async def intend(ledger: Ledger, statement: str, server: str = SERVER) -> UUID:
    number = uuid4()
    await ledger.append(
        Kind.INTENT, number, {"action": "x.y", "target": "t", "args": {}, "server": {"system_id": server}}
    )
    await ledger.append(Kind.STEP, number, {"action": "x.y", "statement": statement})
    return number


async def end(ledger: Ledger, number: UUID, status: str = "applied") -> None:
    await ledger.append(Kind.OUTCOME, number, {"action": "x.y", "status": status})


async def test_the_newest_look_at_the_same_target_and_server_is_found(sink: Sink) -> None:
    async with sink.open() as ledger:
        assert await kept_look(ledger, "t", SERVER) is None
        for above in (3, 4):
            await ledger.append(Kind.NOTE, uuid4(), look_note("t", look(), above))
        await ledger.append(Kind.NOTE, uuid4(), look_note("other", look(), 5))
        await ledger.append(Kind.NOTE, uuid4(), look_note("t", look(server="8"), 6))
        found = await kept_look(ledger, "t", SERVER)
        assert found is not None
        assert (found.look, found.above) == (look(), 4)
        first = await kept_look(ledger, "t", SERVER, found.at - timedelta(days=1))
        assert first is None


async def test_deeds_are_those_since_those_still_open_and_past_ones_marked(sink: Sink) -> None:
    async with sink.open() as ledger:
        past, long = await intend(ledger, "alter role a"), await intend(ledger, "alter role b")
        hung = await intend(ledger, "alter role c")
        await end(ledger, past)
        above = await newest_row(ledger)
        await end(ledger, long)
        later = await intend(ledger, "alter role d", server="elsewhere")
        await end(ledger, later, "failed")
        found = {one.id: one for one in await deeds_since(ledger, SERVER, above)}
        assert found[str(past)].past
        assert not found[str(long)].past
        assert found[str(long)].statements == ("alter role b",)
        assert found[str(hung)].open
        assert not found[str(hung)].past
        assert (found[str(later)].here, found[str(later)].status) == (False, "failed")


async def test_what_looks_found_is_read_back_without_what_was_declared(sink: Sink) -> None:
    bad = Finding(
        standing=Standing.UNDECLARED, kind="role", name="spy", how=How.MADE, since=AT, until=AT, who="eve"
    )
    good = Finding(standing=Standing.DECLARED, kind="role", name="app", how=How.MADE, since=AT, until=AT)
    found = Comparison(target="t", since=AT, until=AT, findings=(bad, good), unseen={"log": "GRANT x"})
    async with sink.open() as ledger:
        await ledger.append(Kind.NOTE, uuid4(), found_note(found))
        await ledger.append(Kind.NOTE, uuid4(), look_note("t", look(), 1))
        [one] = await told(ledger, "t", 10)
        assert one.findings == (bad,)
        assert (one.since, one.declared, dict(one.unseen)) == (AT, 1, {"log": "GRANT x"})
        assert await told(ledger, "T2", 10) == []
