"""Checkpoints in memory: what they prove, where a verification goes on from them, and signatures."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from console.audit import merkle
from console.audit.checkpoint import (
    Checkpoint,
    Signed,
    is_genuine,
    new_key,
    parse,
    public_of,
    sign,
    text_of,
)
from console.audit.marks import Base, Marks, base_of
from console.audit.record import Entry
from console.audit.verify import Verifier, verify
from console.errors import ConfigError, LedgerFault
from console.secrets import Secret
from tests.audit.forge import Forge, resealed

PRIVATE, PUBLIC = new_key()
OTHER, _ = new_key()
A, B, SIGNER = uuid4(), uuid4(), uuid4()


def point(entries: list[Entry]) -> Checkpoint:
    """The next one of a ledger, as who makes it finds it."""
    verifier = Verifier()
    for entry in entries:
        verifier.feed(entry)
    return verifier.marks.next(UUID(int=7), "2026-01-01T00:00:00.000000Z")


def mark(forge: Forge, private: Secret = PRIVATE) -> Signed:
    signed = sign(point(forge.entries), private)
    forge.append(SIGNER, {"checkpoint": msgspec.to_builtins(signed)}, kind="checkpoint")
    return signed


def marked() -> tuple[Forge, list[Signed]]:
    """Eight rows, a checkpoint, eight rows, a checkpoint, two rows."""
    forge, made = Forge(), []
    for number in range(18):
        forge.append(A if number % 3 else B, {"n": number})
        if number in (7, 15):
            made.append(mark(forge))
    return forge, made


def kinds(entries: list[Entry], **proofs: Any) -> set[str]:
    return {fault.kind for fault in verify(entries, trusted=(PUBLIC,), **proofs).faults}


def anchors(made: list[Signed]) -> dict[bytes, Checkpoint]:
    return {one.digest: parse(one.text) for one in made}


def incremental(entries: list[Entry]) -> tuple[Base, Any]:
    base = base_of((row for row in entries if row.kind == "checkpoint"), (PUBLIC,))
    assert base is not None
    verifier = Verifier(trusted=(PUBLIC,), base=base)
    for row in entries:
        if row.id > base.point.floor:
            verifier.feed(row)
    return base, verifier


def test_a_marked_ledger_is_whole_with_and_without_its_anchors() -> None:
    forge, made = marked()
    found = verify(forge.entries, trusted=(PUBLIC,), anchored=anchors(made), receipts=forge.receipts)
    assert (found.faults, found.checkpoints) == ((), 2)


def test_each_checkpoint_covers_what_the_one_before_does_not() -> None:
    _, (first, second) = marked()
    assert parse(second.text).previous == first.digest
    assert set(parse(second.text).heads) == {A, B, SIGNER}
    assert (parse(first.text).rows, parse(second.text).rows) == (8, 17)


def test_a_ledger_forged_anew_shows_by_its_own_checkpoints() -> None:
    forge, _ = marked()
    entries = list(forge.entries)
    entries[2] = msgspec.structs.replace(entries[2], body='{"n":99}')
    assert "checkpoint" in kinds(resealed(entries))


def test_a_time_forged_with_every_seal_after_it_shows_by_the_root() -> None:
    """The links hold no time, so only the seals' root tells."""
    forge, _ = marked()
    entries = list(forge.entries)
    entries[2] = msgspec.structs.replace(entries[2], at=entries[1].at)
    assert "checkpoint" in kinds(resealed(entries))


@pytest.mark.parametrize("left", [0, 5, 8, 9, 10, 17])
def test_a_tail_that_was_cut_shows_by_the_anchors(left: int) -> None:
    forge, made = marked()
    assert "checkpoint" in kinds(forge.entries[:left], anchored=anchors(made))


def test_a_ledger_without_its_checkpoints_shows_by_the_anchors() -> None:
    forge, made = marked()
    bare = Forge()
    for row in forge.entries:
        if row.kind != "checkpoint":
            bare.append(row.writer, msgspec.json.decode(row.body or "{}"))
    assert kinds(bare.entries) == set()
    assert kinds(bare.entries, anchored=anchors(made)) == {"checkpoint"}


def test_a_checkpoint_of_a_key_that_is_not_trusted_is_a_fault() -> None:
    forge, _ = marked()
    mark(forge, OTHER)
    assert kinds(forge.entries) == {"signature"}


def test_without_trusted_keys_a_signature_is_its_own_keys() -> None:
    forge, _ = marked()
    mark(forge, OTHER)
    assert verify(forge.entries).ok


def test_an_earlier_checkpoint_that_is_gone_shows() -> None:
    forge, (_, second) = marked()
    bare = Forge()
    for row in forge.entries[:8]:
        bare.append(row.writer, msgspec.json.decode(row.body or "{}"))
    bare.append(SIGNER, {"checkpoint": msgspec.to_builtins(second)}, kind="checkpoint")
    assert "checkpoint" in kinds(bare.entries)


def test_two_that_were_made_at_once_are_no_fault() -> None:
    forge, _ = marked()
    one = sign(point(forge.entries), PRIVATE)
    two = sign(msgspec.structs.replace(point(forge.entries), at="a moment later"), PRIVATE)
    for signed in (one, two):
        forge.append(SIGNER, {"checkpoint": msgspec.to_builtins(signed)}, kind="checkpoint")
    forge.append(A, {"n": 1})
    mark(forge)
    assert kinds(forge.entries) == set()


def test_the_copy_of_another_ledgers_checkpoint_says_nothing_of_this_one() -> None:
    _, (theirs, _) = marked()
    forge, _ = marked()
    body = {"anchor_of": str(uuid4()), "checkpoint": msgspec.to_builtins(theirs)}
    forge.append(A, body, kind="checkpoint")
    assert kinds(forge.entries) == set()


# ---- going on from one ---------------------------------------------------------------------------


def test_a_verification_goes_on_from_the_newest_checkpoint() -> None:
    forge, (_, second) = marked()
    for number in range(200):
        forge.append(A if number % 2 else B, {"n": number})
    mark(forge)
    forge.append(B, {"n": 0})
    base, verifier = incremental(forge.entries)
    found = verifier.finish()
    assert found.faults == ()
    assert base.point.previous == second.digest
    assert 60 <= found.rows < 70  # a row a second: those of the last minute, once more
    assert verifier.marks.rows == len(forge.entries)


def test_a_change_after_the_base_shows() -> None:
    forge, _ = marked()
    forge.append(A, {"n": 1})
    forge.append(B, {"n": 2})
    entries = [*forge.entries[:-2], forge.entries[-1]]
    _, verifier = incremental(entries)
    assert {fault.kind for fault in verifier.finish().faults} == {"witness"}


def test_anchors_of_before_the_base_need_no_more_reading() -> None:
    forge, made = marked()
    forge.append(A, {"n": 1})
    base, _ = incremental(forge.entries)
    verifier = Verifier(trusted=(PUBLIC,), base=base, anchored=anchors(made))
    for row in forge.entries[base.point.floor :]:
        verifier.feed(row)
    assert verifier.finish().faults == ()
    later = sign(point(forge.entries), PRIVATE)
    verifier = Verifier(trusted=(PUBLIC,), base=base, anchored=anchors([*made, later]))
    for row in forge.entries[base.point.floor :]:
        verifier.feed(row)
    assert {fault.kind for fault in verifier.finish().faults} == {"checkpoint"}


def test_the_base_goes_on_behind_two_that_were_made_at_once() -> None:
    forge, (first, _) = marked()
    one = sign(point(forge.entries), PRIVATE)
    two = sign(msgspec.structs.replace(point(forge.entries), at="a moment later"), PRIVATE)
    for signed in (one, two):
        forge.append(SIGNER, {"checkpoint": msgspec.to_builtins(signed)}, kind="checkpoint")
    last = mark(forge)
    forge.append(A, {"checkpoint": msgspec.to_builtins(first)}, kind="checkpoint")  # said again
    base, _ = incremental(forge.entries)
    assert base.digest == last.digest
    assert {one.digest, two.digest} <= base.known
    assert set(base.heads) == {A, B, SIGNER}


def test_checkpoints_of_another_ledger_show() -> None:
    """Who owns the server can give a ledger another id, so that its anchors speak of none."""
    forge, _ = marked()
    for ledger, found in ((UUID(int=7), set()), (UUID(int=8), {"checkpoint"})):
        verifier = Verifier(trusted=(PUBLIC,), ledger=ledger)
        for row in forge.entries:
            verifier.feed(row)
        assert {fault.kind for fault in verifier.finish().faults} == found


def test_nobody_untrusted_gives_a_base() -> None:
    forge = Forge()
    forge.append(A, {})
    mark(forge, OTHER)
    assert base_of(forge.entries, (PUBLIC,)) is None


class MarkedLedger(RuleBasedStateMachine):
    """Whatever is appended, and wherever checkpoints are made, nothing cries wolf."""

    def __init__(self) -> None:
        super().__init__()
        self.forge = Forge()
        self.made: list[Signed] = []
        self.writers = [uuid4() for _ in range(3)]

    @rule(writer=st.integers(0, 2), late=st.booleans(), many=st.integers(1, 40))
    def append(self, writer: int, late: bool, many: int) -> None:
        for _ in range(many):
            entries = self.forge.entries
            over = {"witness": entries[-3].seal} if late and len(entries) >= 3 else {}
            self.forge.append(self.writers[writer], {}, **over)

    @rule(behind=st.integers(0, 5))
    def checkpoint(self, behind: int) -> None:
        """Others may have appended since its maker read the ledger."""
        entries = self.forge.entries
        signed = sign(point(entries[: max(len(entries) - behind, 0)]), PRIVATE)
        self.made.append(signed)
        self.forge.append(SIGNER, {"checkpoint": msgspec.to_builtins(signed)}, kind="checkpoint")

    @invariant()
    def whole(self) -> None:
        assert kinds(self.forge.entries, anchored=anchors(self.made), receipts=self.forge.receipts) == set()

    @invariant()
    def whole_from_its_base(self) -> None:
        """One made at the same time as another may name a checkpoint before the base: then all is read."""
        if self.made:
            base, verifier = incremental(self.forge.entries)
            assert {fault.kind for fault in verifier.finish().faults} <= {"checkpoint"}
            assert verifier.marks.rows == len(self.forge.entries)
            assert verifier.unread == sum(row.id <= base.point.floor for row in self.forge.entries)


TestMarkedLedger = MarkedLedger.TestCase
TestMarkedLedger.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


# ---- texts, signatures, trees --------------------------------------------------------------------


def test_a_text_is_read_back_as_it_was() -> None:
    forge, _ = marked()
    made = point(forge.entries)
    assert parse(text_of(made)) == made


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version":1}', text_of(Checkpoint(heads={}, rows=1))[:-3]]
)
def test_what_is_no_checkpoint_is_a_fault_of_the_ledger(text: str) -> None:
    with pytest.raises(LedgerFault, match="no checkpoint"):
        parse(text)


def test_a_changed_text_key_or_signature_is_not_genuine() -> None:
    _, (first, _) = marked()
    assert is_genuine(first)
    for change in ({"text": first.text + " "}, {"key": public_of(OTHER)}, {"signature": "00" * 64},
                   {"key": "zz"}, {"signature": ""}):  # fmt: skip
        assert not is_genuine(msgspec.structs.replace(first, **change))


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "00" * 31])
def test_what_is_no_key_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        sign(Checkpoint(heads={}, rows=0), Secret(text))
    assert "keygen" in told.value.hint
    assert not text or text not in told.value.message


@given(leaves=st.lists(st.binary(max_size=3), min_size=1, max_size=40), data=st.data())
def test_every_leaf_has_a_path_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    way = merkle.path(leaves, index)
    assert merkle.climb(leaves[index], way) == merkle.root(leaves)
    assert merkle.climb(leaves[index] + b"x", way) != merkle.root(leaves)


def test_the_trees_are_those_of_the_rfc() -> None:
    """Roots of the test vectors of RFC 6962's reference implementation."""
    leaves = [b"", b"\0", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43",
              bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70))]  # fmt: skip
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root(leaves[:3]).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert merkle.root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_rows_of_a_gap_are_not_counted() -> None:
    forge, _ = marked()
    marks = Marks()
    for row in forge.entries[2:]:
        marks.add(row)
    assert marks.rows < len(forge.entries)
