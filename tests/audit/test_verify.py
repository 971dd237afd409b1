"""The verifier in memory: no false alarm on healthy ledgers, no change unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from console.audit.record import Entry, Kind
from console.audit.verify import checkpoint, verify
from tests.audit.forge import Forge, resealed

A, B = uuid4(), uuid4()
Attack = Callable[[list[Entry]], list[Entry]]


def healthy() -> Forge:
    """Two writers in turns; the last eight rows are of B alone."""
    forge = Forge()
    for number in range(10):
        forge.append(A if number % 2 else B, {"n": number})
    for number in range(8):
        forge.append(B, {"n": number})
    return forge


def edit(index: int, **change: Any) -> Attack:
    def attack(entries: list[Entry]) -> list[Entry]:
        entries[index] = msgspec.structs.replace(entries[index], **change)
        return entries

    return attack


def kinds_of(entries: list[Entry], **proofs: Any) -> set[str]:
    return {fault.kind for fault in verify(entries, **proofs).faults}


def swap_ids(entries: list[Entry]) -> list[Entry]:
    one, two = entries[3], entries[4]
    entries[3] = msgspec.structs.replace(one, id=two.id)
    entries[4] = msgspec.structs.replace(two, id=one.id)
    return entries


SEEN_ALONE: list[tuple[str, Attack, str]] = [
    ("body", edit(4, body='{"n":99}'), "body"),
    ("body and its hash", edit(4, body="{}", body_hash=bytes(32)), "link"),
    ("time", edit(4, at=healthy().entries[4].at - timedelta(microseconds=1)), "seal"),
    ("user", edit(4, db_user="somebody"), "seal"),
    ("peer", edit(4, peer="10.9.9.9"), "seal"),
    ("kind", edit(4, kind="close"), "link"),
    ("action", edit(4, action_id=uuid4()), "link"),
    ("parent", edit(4, parent=uuid4()), "link"),
    ("idempotency key", edit(4, idempotency_key="x"), "link"),
    ("body taken away without a redaction", edit(4, body=None), "body"),
    ("middle row deleted", lambda rows: rows[:4] + rows[5:], "gap"),
    ("all rows of a writer deleted", lambda rows: [r for r in rows if r.writer != A], "witness"),
    ("tail of a writer cut", lambda rows: [r for r in rows if r.writer != A or r.seq < 2], "witness"),
    ("two rows with one id", edit(4, id=4), "order"),
    ("a row below the first", edit(0, id=0), "id"),
    ("row doubled", lambda rows: [*rows, msgspec.structs.replace(rows[4], id=99)], "duplicate"),
    ("ids swapped", swap_ids, "witness"),
]


def test_a_healthy_ledger_has_no_fault() -> None:
    forge = healthy()
    found = verify(forge.entries, receipts=forge.receipts, checkpoints=[checkpoint(forge.entries)])
    assert found.ok
    assert (found.rows, found.writers) == (18, 2)


@pytest.mark.parametrize(
    ("attack", "kind"), [case[1:] for case in SEEN_ALONE], ids=[case[0] for case in SEEN_ALONE]
)
def test_an_attack_shows_by_itself(attack: Attack, kind: str) -> None:
    assert kind in kinds_of(attack(list(healthy().entries)))


@pytest.mark.parametrize(
    "attack",
    [lambda rows: rows[:-1], lambda rows: [], lambda rows: rows[:6]],
    ids=["newest row deleted", "everything deleted", "old backup restored"],
)
def test_a_lost_tail_shows_by_receipts_or_checkpoint(attack: Attack) -> None:
    forge = healthy()
    left = attack(list(forge.entries))
    assert verify(left).ok
    assert kinds_of(left, receipts=forge.receipts) == {"receipt"}
    assert kinds_of(left, checkpoints=[checkpoint(forge.entries)]) == {"checkpoint"}


def test_a_ledger_forged_anew_shows_by_receipts_or_checkpoint() -> None:
    forge = healthy()
    forged = resealed(edit(2, body='{"n":99}')(list(forge.entries)))
    assert verify(forged).ok
    assert "receipt" in kinds_of(forged, receipts=forge.receipts)
    assert "checkpoint" in kinds_of(forged, checkpoints=[checkpoint(forge.entries)])


def test_a_receipt_that_only_waits_proves_nothing() -> None:
    forge = healthy()
    waiting = [msgspec.structs.replace(receipt, recorded=False) for receipt in forge.receipts]
    assert verify([], receipts=waiting).ok


def test_a_second_outcome_is_a_fault() -> None:
    forge = Forge()
    action = forge.action(A)
    forge.append(B, {"status": "failed"}, kind="outcome", action_id=action)
    assert kinds_of(forge.entries) == {"duplicate"}


def test_a_recorded_redaction_may_take_a_body_away() -> None:
    forge = healthy()
    gone = forge.entries[4]
    forge.append(A, {"writer": gone.writer, "seq": gone.seq}, kind="redaction")
    assert verify(edit(4, body=None)(list(forge.entries)), receipts=forge.receipts).ok


def test_open_intents() -> None:
    forge = Forge()
    lost = forge.action(A, status=None)
    unknown = forge.action(A, status="unknown")
    settled = forge.action(B, status="unknown")
    forge.action(B)
    forge.append(B, {"status": "applied"}, kind=Kind.RESOLVED, action_id=settled)
    assert set(verify(forge.entries).open_intents) == {lost, unknown}


class LedgerMachine(RuleBasedStateMachine):
    """Any healthy history is whole; any one change of it is not, given the receipts."""

    def __init__(self) -> None:
        super().__init__()
        self.forge = Forge()
        self.writers: list[UUID] = [uuid4() for _ in range(3)]

    @rule(
        writer=st.integers(0, 2),
        body=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        late=st.booleans(),
    )
    def append(self, writer: int, body: dict[str, str], late: bool) -> None:
        """A concurrent writer may have read its witness a few rows earlier."""
        entries = self.forge.entries
        over = {"witness": entries[-3].seal} if late and len(entries) >= 3 else {}
        self.forge.append(self.writers[writer], body, **over)

    @precondition(lambda self: self.forge.entries)
    @rule(data=st.data())
    def one_change_shows(self, data: st.DataObject) -> None:
        entries = list(self.forge.entries)
        index = data.draw(st.integers(0, len(entries) - 1))
        change = data.draw(st.sampled_from(CHANGES))
        attacked = change(index)(entries)
        assert not verify(attacked, receipts=self.forge.receipts).ok

    @invariant()
    def healthy_is_whole(self) -> None:
        assert verify(self.forge.entries, receipts=self.forge.receipts).ok


CHANGES: list[Callable[[int], Attack]] = [
    lambda index: edit(index, body='{"forged":1}'),
    lambda index: edit(index, db_user="forged"),
    lambda index: edit(index, kind="forged"),
    lambda index: edit(index, link=bytes(32)),
    lambda index: edit(index, seal=bytes(32)),
    lambda index: edit(index, prev=bytes(32)),
    lambda index: edit(index, seq=77),
    lambda index: edit(index, witness=bytes(32)),
    lambda index: lambda rows: rows[:index] + rows[index + 1 :],
    lambda index: lambda rows: resealed(edit(index, body='{"forged":1}')(rows)),
]

TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_a_time_that_goes_back_is_named_and_no_fault() -> None:
    """A clock was set back: each step back is told once, with its row."""
    forge, noon = Forge(), datetime(2026, 1, 1, 12, tzinfo=UTC)
    steps = [
        (A, 0), (A, 10), (B, -49.9), (A, -50), (B, -110.1), (A, -120), (B, -130), (A, -130), (B, 0), (A, -55)
    ]  # fmt: skip
    for writer, seconds in steps:
        forge.append(writer, at=noon + timedelta(seconds=seconds))
    found = verify(forge.entries, receipts=forge.receipts)
    assert found.ok
    assert [(one.id, one.writer, one.seq, round(one.seconds, 1)) for one in found.remarks] == [
        (5, B, 2, 60.2),  # before its own last row
        (6, A, 4, 70.0),
    ]


def test_a_process_that_begins_with_the_clock_set_back_is_named() -> None:
    """Backdating takes a new process: what it saw of others tells that it came after them."""
    forge, noon = Forge(), datetime(2026, 1, 1, 12, tzinfo=UTC)
    forge.append(A, at=noon)
    forge.append(B, at=noon - timedelta(hours=3))
    forge.append(B, at=noon - timedelta(hours=3))
    found = verify(forge.entries, receipts=forge.receipts)
    assert [(one.id, one.seconds) for one in found.remarks] == [(2, 3 * 3600.0)]
