"""How what was tried is grouped, and where each answer belongs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actions.integrity_statements import Text
from actions.postgres_integrity import BATCH, BATCH_BYTES, Found, batches, sort

SIZES = st.lists(st.integers(0, 2 * BATCH_BYTES), max_size=300)


@given(SIZES)
def test_batches_keep_all_in_their_order_and_are_small_or_of_one(sizes: list[int]) -> None:
    texts = [Text(number, "n", "s", size) for number, size in enumerate(sizes)]
    made = list(batches(texts))
    assert [one for batch in made for one in batch] == texts
    assert all(len(batch) <= BATCH for batch in made)
    assert all(len(batch) == 1 or sum(one.bytes for one in batch) <= BATCH_BYTES for batch in made)


def test_what_the_server_could_not_do_is_no_fault_of_the_data() -> None:
    found = Found([], [], [], [])
    for number, (state, code) in enumerate(
        [("done", ""), ("bad", ""), ("error", "XX002"), ("error", "53200"), ("error", "42883"), ("late", "")]
    ):
        sort(found, Text(number, str(number), "s"), state, code, "told")
    assert [one.name for one in found.done] == ["0"]
    assert [one.name for one, _ in found.bad] == ["1", "2"]
    assert [one.name for one, _ in found.broken] == ["3", "4"]
    assert [one.name for one in found.late] == ["5"]


def test_a_fault_that_was_told_before_the_end_stays_one() -> None:
    found = Found([], [], [], [])
    one = Text(1, "t", "s")
    sort(found, one, "bad", "", "block 1")
    sort(found, one, "done", "", "")
    assert (found.done, found.bad) == ([], [(one, "block 1")])
