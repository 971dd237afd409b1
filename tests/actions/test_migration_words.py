"""How far a migration is applied, and where it was rehearsed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from actions.migration_words import before, elsewhere, extent, held, nowhere
from console.dispatch.history import Earlier


@pytest.mark.parametrize(
    ("applied", "number", "begin_at", "said"),
    [
        (0, 3, 1, "0 of 3 statements applied"),
        (1, 3, 1, "1 of 3 statements applied"),
        (3, 3, 1, "all 3 statements applied"),
        (2, 3, 3, "none of statements 3 to 3 applied"),
        (3, 3, 3, "statement 3 of 3 applied"),
        (3, 4, 2, "statements 2 to 3 of 4 applied"),
    ],
)
def test_what_was_skipped_is_not_claimed(applied: int, number: int, begin_at: int, said: str) -> None:
    assert extent(applied, number, begin_at) == said


def test_checks_are_counted() -> None:
    assert [held(number) for number in range(3)] == ["", ", 1 check holds", ", 2 checks hold"]


def test_a_rehearsal_counts_in_its_own_database() -> None:
    assert elsewhere("shop", "shop") == elsewhere("", "shop") == elsewhere("shop", "") == ""
    assert "shop, and this target's is blog" in elsewhere("shop", "blog")
    assert nowhere("shop", "shop") == nowhere("", "") == ""
    assert "`database: shop`" in nowhere("shop", "")


def run(hour: int, status: str = "applied") -> Earlier:
    return Earlier(datetime(2026, 3, 1, hour, 5, tzinfo=UTC), "alice", f"id-{hour}", status)


def test_what_was_applied_before_is_told_by_its_newest_run() -> None:
    (said,) = before([run(9), run(8)], (), "").warnings
    assert "applied here before 2 times, last: 2026-03-01 09:05 UTC by alice (action id-9)" in said
    assert before((), [run(9)], "down.sql") == ((), ())


def test_what_was_taken_back_since_is_told_as_that() -> None:
    told = before([run(8)], [run(9)], "down.sql")
    assert told.warnings == ()
    assert told.forecast[0].endswith("; since then down.sql was: 2026-03-01 09:05 UTC by alice (action id-9)")
    assert before([run(9)], [run(8)], "down.sql").forecast == ()
    assert "since then down.sql was: in part" in before([run(8)], [run(9, "partial")], "down.sql").warnings[0]


def test_what_the_ledger_does_not_tell_is_not_called_never() -> None:
    assert "is not known" in before(None, (), "").warnings[0]
    assert "nobody knows how far" in before([run(8, "undecidable")], (), "").warnings[0]
