"""What the server shows of maintenance: done, not done, still running, or unknown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from actions.jobs import Done, End, Job
from actions.proof import Seen, of_index, of_table, verdict
from console.engine.port import Statement
from console.model.indexes import Index
from tests.fakes import NOW

BEFORE: dict[str, Any] = {"vacuums": 3, "analyzes": 1, "filenode": 7, "vacuumed_at": NOW.isoformat()}


def job(verb: str = "vacuum", **over: Any) -> Job:
    values: dict[str, Any] = {
        "subject": "public.orders", "kind": "table", "schema": "public", "name": "orders", "number": 42,
        "verb": verb, "lock": "x", "before": BEFORE,
    }  # fmt: skip
    return Job(statement=Statement(sql=verb, shown=verb), **values | over)


def said(end: End, verb: str = "vacuum") -> Done:
    return Done(subject="public.orders", verb=verb, end=end)


def test_a_counter_that_moved_is_proof() -> None:
    assert of_table(job(), {**BEFORE, "number": 42, "vacuums": 4}, NOW, None) is Seen.DONE
    assert of_table(job(), {**BEFORE, "number": 42}, NOW, None) is Seen.NOT_DONE


def test_a_later_vacuum_is_proof_where_the_counters_began_anew() -> None:
    later = (NOW + timedelta(seconds=5)).isoformat()
    assert (
        of_table(job(), {**BEFORE, "number": 42, "vacuums": 0, "vacuumed_at": later}, NOW, None) is Seen.DONE
    )
    earlier = (NOW - timedelta(days=1)).isoformat()
    fresh = {"number": 42, "vacuums": 0, "vacuumed_at": earlier}
    assert of_table(job(), fresh, NOW, None) is Seen.NOT_DONE


def test_what_was_cancelled_is_not_done_whatever_a_counter_says() -> None:
    now = {**BEFORE, "number": 42, "vacuums": 4}
    assert of_table(job(), now, NOW, said(End.CANCELLED)) is Seen.NOT_DONE


def test_a_rewrite_is_proved_by_another_file_only() -> None:
    full = job("vacuum full")
    same = {**BEFORE, "number": 42}
    assert of_table(full, same, NOW, said(End.DONE, "vacuum full")) is Seen.NOT_DONE
    assert of_table(full, {**same, "filenode": 8}, NOW, None) is Seen.DONE


def test_where_the_server_keeps_no_sign_its_answer_counts_and_without_one_nobody_knows() -> None:
    bare = job("analyze", before={})
    assert of_table(bare, {"number": 42}, NOW, said(End.DONE, "analyze")) is Seen.DONE
    assert of_table(bare, {"number": 42}, NOW, None) is Seen.UNKNOWN


def test_another_table_of_that_name_is_not_taken_for_it() -> None:
    assert of_table(job(), {**BEFORE, "number": 43, "vacuums": 9}, NOW, None) is Seen.UNKNOWN
    assert of_table(job(), None, NOW, None) is Seen.UNKNOWN


def index(**over: Any) -> Index:
    values: dict[str, Any] = {"schema": "public", "table": "orders", "name": "i", "number": 42, "filenode": 7}
    return Index(**values | over)


@pytest.mark.parametrize(
    ("verb", "now", "seen"),
    [
        ("drop invalid", None, Seen.DONE),
        ("drop invalid", index(state="invalid"), Seen.NOT_DONE),
        ("drop invalid", index(number=50), Seen.DONE),
        ("create index", index(number=60), Seen.DONE),
        ("create index", index(number=60, state="invalid"), Seen.NOT_DONE),
        ("create index", None, Seen.NOT_DONE),
        ("reindex", index(number=61), Seen.DONE),
        ("reindex", index(filenode=8), Seen.DONE),
        ("reindex", index(), Seen.NOT_DONE),
        ("reindex", index(number=61, state="building"), Seen.NOT_DONE),
    ],
)
def test_indexes(verb: str, now: Index | None, seen: Seen) -> None:
    assert of_index(job(verb, kind="index", table="orders", name="i"), now) is seen


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ([Seen.DONE, Seen.DONE], "applied"),
        ([Seen.DONE, Seen.NOT_DONE], "partial"),
        ([Seen.NOT_DONE, Seen.NOT_DONE], "not_applied"),
        ([Seen.DONE, Seen.RUNNING], "undecidable"),
        ([Seen.DONE, Seen.UNKNOWN], "undecidable"),
    ],
)
def test_the_verdict_on_several(seen: list[Seen], state: str) -> None:
    assert verdict([job(), job("analyze")], seen).state == state
