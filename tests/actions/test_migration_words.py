"""How far a migration is applied, and where it was rehearsed."""

from __future__ import annotations

import pytest

from actions.migration_words import elsewhere, extent, held, nowhere


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
