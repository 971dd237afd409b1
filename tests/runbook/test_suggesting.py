"""What is seen speaks for a runbook or not; what nobody looked at says nothing. And words find runbooks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.__main__ import _runbooks
from console.present.reads import READS
from console.runbook.document import Document
from console.runbook.loader import load_folders
from console.runbook.suggesting import BESIDE, matches, suggested, wanted
from console.runbook.values import UNKNOWN
from tests.runbook.documents import HEAD, document, errors

SHIPPED = {one.id: one.document for one in load_folders([], _runbooks())}
NOTE = "steps: [{id: a, kind: note, text: a}]\n"


def own(suggest: str, more: str = "") -> Document:
    return document(HEAD.format(id="own") + f"suggest: [{suggest}]\n{more}{NOTE}")


def names(**known: Any) -> dict[str, Any]:
    return {**dict.fromkeys((*READS, *BESIDE), UNKNOWN), **known}


def waiter(number: int) -> dict[str, Any]:
    return {"session": {"id": number}, "root": number == 1, "edge": None if number == 1 else "hard"}


def test_a_storm_speaks_for_the_runbook_that_ends_it_and_says_why() -> None:
    (found,) = suggested([SHIPPED["lock-storm"]], names(locks=[waiter(n) for n in range(1, 5)]))
    assert found.text == "3 sessions wait for locks, behind 1 at the root"
    assert found.reads == {"locks"}


def test_a_short_queue_speaks_for_nothing() -> None:
    assert suggested([SHIPPED["lock-storm"]], names(locks=[waiter(1), waiter(2)])) == []


def test_what_nobody_looked_at_suggests_nothing() -> None:
    assert suggested(SHIPPED.values(), names()) == []


def test_a_storm_of_thousands_is_still_looked_through() -> None:
    (found,) = suggested([SHIPPED["lock-storm"]], names(locks=[waiter(n) for n in range(1, 5002)]))
    assert found.text.startswith("5000 sessions wait")


def test_a_figure_that_is_null_is_not_known() -> None:
    one = own("{when: \"max(horizon, 'age') > 5\", text: old}")
    assert suggested([one], names(horizon=[{"age": None}])) == []
    assert suggested([one], names(horizon=[{"age": 6}, {"age": 2}])) != []


def test_a_fault_of_the_expression_suggests_nothing() -> None:
    assert suggested([own('{when: "locks > 3", text: t}')], names(locks=[])) == []


def test_a_server_that_has_no_slot_left_is_a_sign_too() -> None:
    one = own('{when: "trouble == \'no_slot\'", text: "nobody gets in"}')
    assert [found.text for found in suggested([one], names(trouble="no_slot"))] == ["nobody gets in"]
    assert suggested([one], names(trouble="")) == []


def healthy(**more: Any) -> list[dict[str, Any]]:
    figures = {"lag_seconds": 1.0, "halted": False, "disk_free": 50 << 30, "disk_used": 0.5}
    return [{**figures, "stuck_commits": 0, "xid_age": 1000, "mxid_age": None, **more}]


def test_hanging_commits_and_another_databases_numbers_speak_for_their_runbooks() -> None:
    """The one is no lag and no lock, the other in no table of the target's own database."""
    both = [SHIPPED["wraparound"], SHIPPED["replication-lag"]]
    assert suggested(both, names(health=healthy())) == []
    (stuck,) = suggested(both, names(health=healthy(stuck_commits=3)))
    assert (stuck.runbook, stuck.text.endswith(": 3")) == ("replication-lag", True)
    (old,) = suggested(both, names(health=healthy(xid_age=600_000_000, xid_database="other")))
    assert (old.runbook, "database other" in old.text) == ("wraparound", True)


def test_lag_and_a_full_disk_speak_for_their_runbooks() -> None:
    both = [SHIPPED["disk-filling"], SHIPPED["replication-lag"]]
    assert suggested(both, names(health=healthy())) == []
    (lagging,) = suggested(both, names(health=healthy(lag_seconds=61.5)))
    assert (lagging.runbook, lagging.text) == ("replication-lag", "replication is more than a minute behind")
    (full,) = suggested(both, names(health=healthy(disk_used=0.93, disk_free=3 << 30)))
    assert full.text == "3.0GB are free on the disk of the data, less than a tenth"
    assert full.reads == {"health"}


def test_a_replica_that_has_stopped_speaks_for_its_runbook() -> None:
    """It has no lag that is more than a minute: the Overview called it bad, and nothing was suggested."""
    why = "replication does not run: the applier is stopped (error 1062)"
    halted = healthy(lag_seconds=None, halted=True, lag_unknown=why)
    (found,) = suggested([SHIPPED["replication-lag"]], names(health=halted))
    assert (found.runbook, found.text) == ("replication-lag", why)


def test_lag_and_disk_that_nobody_knows_suggest_nothing() -> None:
    both = [SHIPPED["disk-filling"], SHIPPED["replication-lag"]]
    assert suggested(both, names(health=healthy(lag_seconds=None, disk_used=None, disk_free=None))) == []


def test_params_are_filled_in_where_they_are_known() -> None:
    params = "params: {number: {type: integer}, other: {type: integer}}\n"
    with_ = "with: {number: first(locks).session.id, other: first(tables).x}"
    one = own(f"{{when: count(locks) > 0, text: t, {with_}}}", params)
    (found,) = suggested([one], names(locks=[waiter(7)]))
    assert found.given == {"number": 7}


def test_everything_that_suggestions_rest_on_is_named() -> None:
    assert wanted(SHIPPED.values()) >= {"locks", "transactions"}


@given(st.dictionaries(st.sampled_from(sorted(READS)), st.lists(st.dictionaries(st.text(), st.integers()))))
def test_no_reading_breaks_it(seen: dict[str, Any]) -> None:
    suggested(SHIPPED.values(), names(**seen))


@pytest.mark.parametrize(
    ("suggest", "rule"),
    [
        ('{when: "count(lock) > 1", text: t}', "name-unknown"),
        ('{when: "count(", text: t}', "expression"),
        ('{when: "count(locks) > 1", text: "{{ nothing }}"}', "name-unknown"),
        ('{when: "count(locks) > 1", text: t, with: {many: 1}}', "suggest-param"),
    ],
)
def test_a_suggestion_is_linted(suggest: str, rule: str) -> None:
    assert rule in errors(HEAD.format(id="own") + f"suggest: [{suggest}]\n{NOTE}")


@pytest.mark.parametrize(
    "words", ["hang", "hangs", "lock wait timeout", "timeout lock", "LOCK STORM", "end root", ""]
)
def test_words_find_a_runbook_in_any_order(words: str) -> None:
    assert matches(SHIPPED["lock-storm"], words)


def test_other_words_do_not() -> None:
    assert not matches(SHIPPED["lock-storm"], "disk full")


TROUBLE: dict[str, dict[str, Any]] = {
    "connections-exhausted": {"trouble": "no_slot"},
    "deadlocks": {"deadlocks": [{"victim": n} for n in range(3)]},
    "disk-filling": {"slots": [{"active_pid": 7, "retained_bytes": 20 * 1024**3}]},
    "horizon": {"horizon": [{"seconds": 4000.0}]},
    "invalid-indexes": {"indexes": [{"finding": "invalid"}]},
    "lock-storm": {"locks": [waiter(n) | {"holds_up": 0} for n in range(1, 5)]},
    "long-transaction": {"transactions": [{"state": "idle in transaction", "state_seconds": 700.0}]},
    "metadata-lock-pileup": {"locks": [waiter(1) | {"holds_up": 2}]},
    "replication-lag": {"slots": [{"active_pid": None, "retained_bytes": 0, "synced": False}]},
    "runaway-query": {"transactions": [{"state": "active", "state_seconds": 2000.0}]},
    "scheduled-rotation": {"accounts": [{"due": "overdue"}]},
    "wraparound": {"tables": [{"xid_age": 600_000_000, "mxid_age": None}]},
}
QUIET: dict[str, Any] = {name: [] for name in READS} | {"trouble": ""}


@pytest.mark.parametrize("name", TROUBLE)
def test_its_own_trouble_speaks_for_a_shipped_runbook(name: str) -> None:
    seen = names(**{**QUIET, **TROUBLE[name]})
    assert name in {one.runbook for one in suggested(SHIPPED.values(), seen)}


def test_a_quiet_server_speaks_for_nothing() -> None:
    assert suggested(SHIPPED.values(), names(**QUIET)) == []


def test_every_runbook_that_is_suggested_is_tried() -> None:
    assert {name for name, one in SHIPPED.items() if one.suggest} == set(TROUBLE)
