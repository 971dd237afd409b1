"""Texts that are taken away: recorded first, gone everywhere that can be reached, and still proved."""

from __future__ import annotations

from uuid import uuid4

import pytest

from console.audit import forgetting
from console.audit.journal import place
from console.audit.ledger import Ledger, install
from console.audit.record import Entry, Kind
from console.errors import AuditUnavailable, PrivilegeMissing, Refused, UsageError
from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink
from tests.servers.accounts import APP, OPERATOR

CANARY = "4929-1234-5678-9012"


async def permitted(sink: Sink) -> None:
    """Who redacts is somebody that was named: nobody is by default."""
    if isinstance(sink, PostgresSink | MysqlSink):
        await install(sink.admin, redactors=[OPERATOR])


async def told(sink: Sink) -> Entry:
    """A finished action whose intent holds what should not have been recorded; its process has ended."""
    action = uuid4()
    async with sink.open() as ledger:
        await ledger.append(Kind.INTENT, action, {"action": "session.terminate", "reason": CANARY})
        await ledger.append(Kind.OUTCOME, action, {"status": "applied"})
        await ledger.append(Kind.STEP, uuid4(), {"n": 1})
        return (await ledger.entries(action_id=action, kinds=(Kind.INTENT,)))[0]


async def bodies(ledger: Ledger) -> str:
    return " ".join(str(row.body) for row in await ledger.entries())


async def test_the_text_is_gone_and_the_ledger_is_whole(sink: Sink) -> None:
    await permitted(sink)
    entry = await told(sink)
    async with sink.open() as ledger:
        assert await ledger.redact(entry, "a card number", "ann") == []
        assert CANARY not in await bodies(ledger)
        (row,) = await ledger.entries(kinds=(Kind.REDACTION,))
        assert '"operator":"ann"' in (row.body or "")
        assert (await ledger.verify()).faults == ()
    assert [path for path in sink.journal.iterdir() if CANARY in path.read_text()] == []


async def test_it_is_no_way_around_the_record(sink: Sink) -> None:
    await permitted(sink)
    entry = await told(sink)
    statement = f"update {{entry}} set body = null where seq = {entry.seq} and writer = '{entry.writer}'"
    assert "append-only" in await sink.refused(statement)
    async with sink.open() as ledger:
        with pytest.raises(AuditUnavailable, match="append-only"):
            await ledger._table.redact(entry.writer, entry.seq)
        assert CANARY in await bodies(ledger)


@pytest.mark.parametrize("more", ["body = null, db_user = 'x'", "body = 'x'"])
async def test_a_recorded_redaction_lets_nothing_else_change(sink: Sink, more: str) -> None:
    entry = await told(sink)
    async with sink.open() as ledger:
        named = {"writer": str(entry.writer), "seq": entry.seq}
        await ledger.append(Kind.REDACTION, entry.action_id, named)
    where = f"where seq = {entry.seq} and writer = '{entry.writer}'"
    assert "append-only" in await sink.refused(f"update {{entry}} set {more} {where}")
    other = f"where seq = {entry.seq + 1} and writer = '{entry.writer}'"
    assert "append-only" in await sink.refused(f"update {{entry}} set body = null {other}")


async def test_what_others_are_proved_by_is_not_redacted(sink: Sink) -> None:
    await permitted(sink)
    entry = await told(sink)
    async with sink.open() as ledger:
        await ledger.redact(entry, "why", "ann")
        (row,) = await ledger.entries(kinds=(Kind.REDACTION,))
        with pytest.raises(Refused, match="others are proved by it"):
            await ledger.redact(row, "why", "ann")
        with pytest.raises(Refused, match="redacted already"):
            await ledger.redact(await ledger.row(entry.id), "why", "ann")
        with pytest.raises(UsageError, match="no row 4711"):
            await ledger.row(4711)


async def test_an_action_whose_end_is_not_known_keeps_its_texts(sink: Sink) -> None:
    await permitted(sink)
    async with sink.open() as ledger:
        action = uuid4()
        await ledger.append(Kind.INTENT, action, {"reason": CANARY})
        (entry,) = await ledger.entries(action_id=action)
        with pytest.raises(Refused, match="end is not known"):
            await ledger.redact(entry, "why", "ann")


async def test_a_journal_in_use_is_told(sqlite: SqliteSink) -> None:
    async with sqlite.open() as ledger:
        action = uuid4()
        await ledger.append(Kind.REFUSED, action, {"reason": CANARY})
        (entry,) = await ledger.entries(action_id=action)
        (left,) = await ledger.redact(entry, "why", "ann")
    assert "is in use and holds the text still" in left


async def test_who_was_not_named_may_not(postgres_sink: PostgresSink) -> None:
    await refused(postgres_sink)


async def test_who_was_not_named_may_not_on_mysql(mysql_sink: MysqlSink) -> None:
    await refused(mysql_sink)


async def refused(sink: Sink) -> None:
    entry = await told(sink)
    async with sink.open() as ledger:
        with pytest.raises(PrivilegeMissing, match=f"row {entry.id} has it still") as caught:
            await ledger.redact(entry, "why", "ann")
        assert "--redactor LOGIN" in caught.value.hint, "it is no right to read that is missing"
        assert CANARY in await bodies(ledger)


async def test_the_text_is_not_left_in_the_file(sqlite: SqliteSink) -> None:
    entry = await told(sqlite)
    async with sqlite.open() as ledger:
        await ledger.redact(entry, "why", "ann")
    left = [path for path in sqlite.path.parent.glob("audit.db*") if CANARY.encode() in path.read_bytes()]
    assert left == []


async def test_init_makes_a_changed_trigger_again(sink: Sink) -> None:
    async with sink.open():
        pass
    await sink.attack()
    await install(sink.admin)
    assert "append-only" in await sink.refused("update {entry} set db_user = 'x'"), APP


async def test_what_a_process_writes_as_it_ends_is_kept(
    sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await told(sqlite)
    path = place(sqlite.journal, entry.writer)

    def ends(*_: object) -> bool:
        with path.open("ab") as file:
            file.write(b'{"void":{"link":"","reason":"its last words","seq":99}}\n')
        return False

    monkeypatch.setattr(forgetting, "alive", ends)
    assert forgetting.forget(sqlite.journal, entry.writer, entry.seq) == ""
    assert ("its last words" in path.read_text(), CANARY in path.read_text()) == (True, False)


async def test_a_redaction_by_hand_hides_no_break_glass(sink: Sink) -> None:
    """Who may redact can append the row and call the procedure without dbdeck: what others are proved by is
    missed.
    """
    await permitted(sink)
    async with sink.open() as ledger:
        said = {"event": "begin", "reason": "the shop is down", "target": "shop", "operator": "eve"}
        await ledger.append(Kind.BREAKGLASS, ledger.writer, said)
        (begin,) = await ledger.entries(kinds=(Kind.BREAKGLASS,))
        assert [one.operator for one in (await ledger.verify()).brackets] == ["eve"]
        told = {"writer": str(begin.writer), "seq": begin.seq, "row": begin.id, "reason": "tidying up"}
        await ledger.append(Kind.REDACTION, begin.action_id, told)
        assert await ledger._table.redact(begin.writer, begin.seq)
        found = await ledger.verify()
        assert [(one.id, one.kind) for one in found.faults] == [(begin.id, "body")]


@pytest.mark.parametrize("kind", [Kind.INTENT, Kind.STEP, Kind.OUTCOME])
async def test_a_redaction_by_hand_ends_no_freeze(sink: Sink, kind: Kind) -> None:
    """By the text of an outcome that is `unknown`, and of the intent, what is frozen is told."""
    await permitted(sink)
    async with sink.open() as ledger:
        await ledger.append(Kind.INTENT, action := uuid4(), {"action": "index.drop", "target": "shop"})
        await ledger.append(Kind.STEP, action, {"n": 1})
        await ledger.append(Kind.OUTCOME, action, {"status": "unknown"})
        (row,) = await ledger.entries(action_id=action, kinds=(kind,))
        await ledger.append(Kind.REDACTION, action, {"writer": str(row.writer), "seq": row.seq})
        with pytest.raises(AuditUnavailable):
            await ledger._table.redact(row.writer, row.seq)
        (left,) = await ledger.open_intents()
        assert (left.action_id, left.body, left.outcome) == (
            action, {"action": "index.drop", "target": "shop"}, "unknown",
        )  # fmt: skip
        await ledger.append(Kind.RESOLVED, action, {"status": "applied"})
        assert await ledger._table.redact(row.writer, row.seq)
        assert await ledger.open_intents() == []


async def test_an_end_that_is_known_may_tell_of_something_unknown(sink: Sink) -> None:
    await permitted(sink)
    async with sink.open() as ledger:
        await ledger.append(Kind.INTENT, action := uuid4(), {"reason": CANARY})
        seen = {"evidence": {"status": "unknown", "said": CANARY}, "status": "applied"}
        await ledger.append(Kind.OUTCOME, action, seen)
        for row in await ledger.entries(action_id=action):
            await ledger.redact(row, "why", "ann")
        assert CANARY not in await bodies(ledger)
        assert (await ledger.verify()).faults == ()
